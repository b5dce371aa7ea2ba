"""What ``loop.yaml`` may say: the file's own structs, apart from the model that they become.

The JSON schema is generated from these. Text may be written as a number or a boolean wherever text is wanted; it
counts as it is written.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Name = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
        description="Lower-case letters, digits and '-' between them, at most 63.",
    ),
]
Key = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][-A-Za-z0-9_.]*$",
        description="Letters, digits, '-', '_' and '.', a letter or digit first.",
    ),
]
VariableName = Annotated[
    str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Letters, digits and '_', no digit first.")
]
Port = Annotated[int, Meta(ge=1, le=65535)]

HookPoint = Literal[
    "before-render",
    "after-render",
    "before-build",
    "after-build",
    "before-deploy",
    "after-deploy",
    "before-dev",
    "after-dev",
    "before-purge",
    "after-purge",
    "before-promote",
    "after-promote",
    "ready",
    "failed",
]


class Section(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Base of all mappings of the file: an unknown key is an error."""


class Image(Section):
    """An image that the project builds."""

    context: Annotated[str, Meta(description="Folder that is sent to the build, relative to loop.yaml.")]
    dockerfile: Annotated[str, Meta(description="Relative to the context.")] = "Dockerfile"
    image: Annotated[
        str | None,
        Meta(description="Repository that the manifests use for it, without tag; the image's name unless given."),
    ] = None
    target: Annotated[str | None, Meta(description="Stage of the Dockerfile.")] = None
    args: Annotated[dict[str, str], Meta(description="Build arguments.")] = {}
    secrets: Annotated[dict[str, str], Meta(description="Build secrets: id to file, relative to loop.yaml.")] = {}
    platform: Annotated[str | None, Meta(description="For instance linux/arm64; the machine's unless given.")] = None
    builder: Annotated[
        str | None,
        Meta(description="docker, buildah or the name of a plugin's builder; whichever is there unless given."),
    ] = None
    command: Annotated[
        str | None,
        Meta(description="Own build command for a shell, run in the context; must produce the image $LOOP_IMAGE."),
    ] = None


class Source(Section):
    """Manifests of one kind: a chart, a kustomization, plain files, or what a plugin renders."""

    helm: Annotated[
        str | None,
        Meta(description="Chart: a folder, an oci:// reference, or a chart's name where repo is given."),
    ] = None
    repo: Annotated[str | None, Meta(description="URL of the chart repository.")] = None
    version: Annotated[str | None, Meta(description="Version of the chart.")] = None
    release: Annotated[str | None, Meta(description="Release name; the project's or dependency's unless given.")] = None
    values: Annotated[
        str | list[str], Meta(description="Value files, later ones win; ${NAME} in them is replaced.")
    ] = []
    set: Annotated[dict[str, Any], Meta(description="Single values by dotted path, stronger than value files.")] = {}
    kustomize: Annotated[str | None, Meta(description="Folder with a kustomization.")] = None
    files: Annotated[str | None, Meta(description="Glob of plain manifests.")] = None
    renderer: Annotated[str | None, Meta(description="Name of a plugin's renderer.")] = None
    options: Annotated[dict[str, Any], Meta(description="What the plugin's renderer is given.")] = {}
    substitute: Annotated[
        bool | list[str] | None,
        Meta(
            description="Where ${NAME} is replaced: for files true or false, for kustomize globs below its folder "
            "(the kustomization file unless given)."
        ),
    ] = None
    namespace: Annotated[str | None, Meta(description="Namespace, where it is not the session's.")] = None


class ManifestEntry(Source):
    """Exactly one of helm, kustomize, files, renderer."""


class DependencyEntry(Source):
    """Exactly one of helm, kustomize, files, renderer, path, git: manifests of someone else, or another project."""

    path: Annotated[str | None, Meta(description="Folder of another project.")] = None
    git: Annotated[str | None, Meta(description="Repository of another project.")] = None
    ref: Annotated[str | None, Meta(description="Branch, tag or commit; the default branch unless given.")] = None
    folder: Annotated[str | None, Meta(description="Folder of the project in the repository.")] = None
    profiles: Annotated[str | list[str], Meta(description="Profiles of the other project.")] = []
    variables: Annotated[dict[str, str], Meta(description="Values for the other project's variables.")] = {}


class SyncEntry(Section):
    """A folder kept the same in the container."""

    local: Annotated[str, Meta(description="Folder or file, relative to loop.yaml.")]
    remote: Annotated[str, Meta(description="Absolute path in the container.")]
    exclude: Annotated[str | list[str], Meta(description="Patterns in the grammar of .gitignore.")] = []
    exclude_upload: Annotated[str | list[str], Meta(description="The same, for changes of this machine only.")] = []
    exclude_download: Annotated[str | list[str], Meta(description="The same, for changes of the container only.")] = []
    direction: Annotated[
        Literal["upload", "download", "both"], Meta(description="Whose changes are carried to the other side.")
    ] = "upload"
    initial: Annotated[
        Literal["preferLocal", "preferRemote", "preferNewest", "mirrorLocal", "mirrorRemote", "keepAll"] | None,
        Meta(description="Who wins at the first comparison; preferLocal, for download preferRemote, unless given."),
    ] = None


class ActionEntry(Section):
    """What follows when synced files match: exactly one of exec, run, signal."""

    files: Annotated[str | list[str], Meta(description="Globs, relative to the synced folder.")]
    exec: Annotated[
        str | list[str],
        Meta(description="Command in the container. A string is split as a shell would, but no shell runs it."),
    ] = []
    run: Annotated[str | None, Meta(description="Command for a shell of this machine, in the project's folder.")] = None
    signal: Annotated[str | None, Meta(description="Signal for the container's process, for instance HUP.")] = None


class PortEntry(Section, kw_only=True):
    """A forwarded port."""

    local: Annotated[Port | None, Meta(description="Port of this machine; the remote one unless given.")] = None
    remote: Annotated[Port, Meta(description="Port in the container.")]
    address: Annotated[str, Meta(description="Address of this machine to listen on.")] = "127.0.0.1"


class Dev(Section):
    """Containers that are developed."""

    image: Annotated[
        str | None, Meta(description="Containers that run this image of images:; the target's own name unless given.")
    ] = None
    selector: Annotated[dict[str, str], Meta(description="Pods with these labels, instead of an image.")] = {}
    container: Annotated[str | None, Meta(description="Container's name, where a pod has several that fit.")] = None
    sync: Annotated[
        str | SyncEntry | list[str | SyncEntry],
        Meta(description="LOCAL:REMOTE, or {local, remote, exclude, direction, initial, …}; a list of these."),
    ] = []
    command: Annotated[
        str | list[str],
        Meta(description="What the container runs instead. A string is split as a shell would, but no shell runs it."),
    ] = []
    working_dir: Annotated[str | None, Meta(description="Working directory of the command in the container.")] = None
    env: Annotated[dict[str, str], Meta(description="Environment variables of the container.")] = {}
    restart: Annotated[
        str | list[str],
        Meta(description="Globs, relative to the synced folder: a file that matches restarts the command."),
    ] = []
    rebuild: Annotated[
        str | list[str],
        Meta(description="Globs, relative to the synced folder: a file that matches is built into a new image."),
    ] = []
    actions: Annotated[list[ActionEntry], Meta(description="What follows when synced files match, in this order.")] = []
    ports: Annotated[
        str | int | PortEntry | list[str | int | PortEntry],
        Meta(description="LOCAL:REMOTE, ADDRESS:LOCAL:REMOTE, PORT, or {local, remote, address}; a list of these."),
    ] = []
    open: Annotated[str | None, Meta(description="URL to open once the service is ready.")] = None


class Command(Section):
    """A command of the project, for `loop run`."""

    run: Annotated[str, Meta(description="For a shell, run in the project's folder.")]
    description: Annotated[str, Meta(description="For the list of commands.")] = ""


class Environment(Section):
    """Where the project is promoted to."""

    variables: Annotated[str | None, Meta(description="File of variables, in the grammar of .env.")] = None
    namespace: Annotated[str | None, Meta(description="Namespace in that environment.")] = None
    profiles: Annotated[str | list[str], Meta(description="Profiles that are active for it.")] = []
    cluster: Annotated[
        str | None, Meta(description="The cluster's name in the GitOps repository; the environment's unless given.")
    ] = None
    labels: Annotated[dict[str, str], Meta(description="Labels that every object gets there.")] = {}


class Exemption(Section):
    """An object that a gate lets through."""

    gate: Annotated[
        Literal["schema", "plain-secret", "mutable-tag", "local-value", "namespace", "policy", "random"],
        Meta(description="Which check; see the docs."),
    ]
    object: Annotated[str, Meta(description="Glob for Kind/name.")]
    reason: Annotated[str, Meta(description="Why, for those who review.")]


class GitOps(Section):
    """The repository that Flux or Argo CD reconciles."""

    repository: Annotated[str, Meta(description="URL or path, as git takes it.")]
    branch: Annotated[str, Meta(description="Branch that pull requests go to.")] = "main"
    layout: Annotated[
        Literal["folder", "cluster", "branch"], Meta(description="Where an environment's manifests are; see the docs.")
    ] = "folder"
    files: Annotated[Literal["object", "one"], Meta(description="A file per object, or one for all.")] = "object"
    forge: Annotated[
        Literal["github", "gitlab", "azure", "gitea", "bitbucket", "git"] | None,
        Meta(description="Where pull requests are made; told by the repository's address unless given."),
    ] = None
    reviewers: Annotated[str | list[str], Meta(description="Who is asked to review.")] = []
    labels: Annotated[str | list[str], Meta(description="Labels of the pull requests.")] = []
    policies: Annotated[str | None, Meta(description="Folder of Rego files.")] = None
    schemas: Annotated[str | list[str], Meta(description="CustomResourceDefinitions: files or folders.")] = []
    kubernetes: Annotated[str | None, Meta(description="Version of the environments' clusters, as 1.36.")] = None
    allow: Annotated[list[Exemption], Meta(description="What gates let through, each with its reason.")] = []


class When(Section):
    """All of it must fit."""

    context: Annotated[str | None, Meta(description="Glob for the name of the context.")] = None
    namespace: Annotated[str | None, Meta(description="Glob for the namespace.")] = None
    variable: Annotated[dict[str, str], Meta(description="Variable's name to a glob for its value.")] = {}


class Profile(Section):
    """A patch of this file: mappings merge, lists and scalars replace, null removes."""

    when: Annotated[When | None, Meta(description="Activates the profile without --profile.")] = None
    name: Any = None
    variables: Any = None
    images: Any = None
    manifests: Any = None
    dev: Any = None
    dependencies: Any = None
    hooks: Any = None
    commands: Any = None
    plugins: Any = None
    environments: Any = None
    gitops: Any = None


class File(Section):
    """A project of innerloop."""

    name: Annotated[
        Name, Meta(description="The project's name; also the Helm release and the inventory in the cluster.")
    ]
    variables: Annotated[
        dict[VariableName, str | None],
        Meta(description="The only ${NAME}s that may be used, with their defaults; without one a value is required."),
    ] = {}
    images: Annotated[dict[Key, str | Image], Meta(description="Images to build; a string is the context.")] = {}
    manifests: Annotated[list[ManifestEntry], Meta(description="Rendered in this order.")] = []
    dev: Annotated[dict[Key, Dev], Meta(description="Dev targets by name.")] = {}
    dependencies: Annotated[dict[Key, DependencyEntry], Meta(description="What has to be ready first.")] = {}
    hooks: Annotated[dict[HookPoint, str | list[str]], Meta(description="Shell commands at points of the flow.")] = {}
    commands: Annotated[dict[Key, str | Command], Meta(description="Commands for loop run.")] = {}
    plugins: Annotated[str | list[str], Meta(description="Python files, relative to loop.yaml.")] = []
    profiles: Annotated[dict[Key, Profile], Meta(description="Named patches of this file.")] = {}
    environments: Annotated[dict[Key, Environment], Meta(description="Environments of the outer loop.")] = {}
    gitops: Annotated[GitOps | None, Meta(description="Where rendered manifests go.")] = None
