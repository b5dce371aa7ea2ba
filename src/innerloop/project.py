"""The model: what a project is, whatever file it was read from.

Every layer below the configuration speaks these frozen structs and none of them knows a file format. Paths are
absolute unless said otherwise, variables are already put in, profiles already merged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from innerloop.errors import Location

HOOK_STEPS = ("render", "build", "deploy", "dev", "purge", "promote")
HOOK_POINTS = (
    *(f"{when}-{step}" for step in HOOK_STEPS for when in ("before", "after")),
    "ready",
    "failed",
)


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the model's structs."""


class Origin(Model, frozen=True, kw_only=True):
    """Where a variable's value came from."""

    kind: Literal["default", "file", "process", "set", "built-in"]
    where: Location | None = None


class Variable(Model, frozen=True, kw_only=True):
    name: str
    value: str
    origin: Origin
    overridden: tuple[tuple[Origin, str], ...] = ()
    """Weaker origins with the values they had, strongest first."""


class Image(Model, frozen=True, kw_only=True):
    """An image that the project builds."""

    name: str
    repository: str
    """The repository that manifests use for it, without tag or digest; the name unless told otherwise."""
    context: Path
    dockerfile: Path
    target: str | None = None
    args: dict[str, str] = {}
    secrets: dict[str, Path] = {}
    """BuildKit secrets: id to file."""
    platform: str | None = None
    builder: str | None = None
    """``docker``, ``buildah``, or the name of a plugin's; None: whichever is there."""
    command: str | None = None
    """Custom build, run by the user's shell in ``context``; it sees ``LOOP_IMAGE`` and must produce that."""


class HelmSource(Model, frozen=True, kw_only=True):
    """``helm template`` of a chart."""

    chart: str
    """A folder (absolute), an ``oci://`` reference, or a chart's name in ``repo``."""
    repo: str | None = None
    version: str | None = None
    release: str
    """Release name; the project's name unless told otherwise."""
    values: tuple[Path, ...] = ()
    """Value files, later ones win; ``${NAME}`` in them is replaced, in memory only."""
    set: dict[str, object] = {}
    """Single values by dotted path, strongest; types are kept."""
    namespace: str | None = None


class KustomizeSource(Model, frozen=True, kw_only=True):
    """``kustomize build`` of a folder."""

    path: Path
    substitute: tuple[str, ...] = ("kustomization.yaml", "kustomization.yml", "Kustomization")
    """Globs below ``path`` of the files in which ``${NAME}`` is replaced, in a temporary copy."""


class FilesSource(Model, frozen=True, kw_only=True):
    """Plain manifests by glob."""

    pattern: str
    """An absolute glob; matches are read in sorted order."""
    substitute: bool = True
    """Replace ``${NAME}`` of declared variables."""


class PluginSource(Model, frozen=True, kw_only=True):
    """What a renderer of the project's plugins makes."""

    renderer: str
    options: dict[str, object] = {}


ManifestSource = HelmSource | KustomizeSource | FilesSource | PluginSource


Direction = Literal["upload", "download", "both"]
"""Which side's changes are carried: this machine's, the container's."""

Strategy = Literal["preferLocal", "preferRemote", "preferNewest", "mirrorLocal", "mirrorRemote", "keepAll"]
"""What the first comparison of a session does. ``prefer…``: each side gets what it lacks, that one wins where both
have a path. ``mirror…``: the other side also loses what that one lacks. ``keepAll``: only what a side lacks is
copied, no file is changed. (The words are DevSpace's, ``dev.*.sync[].initialSync`` of v2beta1.)"""


class SyncPath(Model, frozen=True, kw_only=True):
    """A folder (or file) kept the same in a container."""

    local: Path
    remote: str
    """Absolute POSIX path in the container."""
    exclude: tuple[str, ...] = ()
    """Patterns in the grammar of .gitignore, beside the ignore files that count anyway."""
    exclude_upload: tuple[str, ...] = ()
    """The same, for changes of this machine only."""
    exclude_download: tuple[str, ...] = ()
    """The same, for changes of the container only."""
    direction: Direction = "upload"
    initial: Strategy = "preferLocal"


LINUX_SIGNALS = {
    name: number
    for number, name in enumerate(
        "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU "
        "URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split(),
        start=1,
    )
}
"""Names without SIG to their numbers on amd64 and arm64 (signal(7)): containers run Linux, this machine may not."""


class SyncAction(Model, frozen=True, kw_only=True):
    """What follows when synced files match; exactly one of ``exec``, ``run`` and ``signal`` is set."""

    files: tuple[str, ...]
    """Globs as those of ``DevTarget.restart``."""
    exec: tuple[str, ...] = ()
    """A command in the container."""
    run: str | None = None
    """A command of the user's shell, in the project's folder."""
    signal: str | None = None
    """Name of a signal for the container's process, without SIG: ``HUP``."""


class PortForward(Model, frozen=True, kw_only=True):
    local: int
    remote: int
    address: str = "127.0.0.1"


class DevTarget(Model, frozen=True, kw_only=True):
    """Containers that are developed: those that run an image, or those that a selector finds."""

    name: str
    image: str | None = None
    """Name in ``Project.images``."""
    selector: dict[str, str] = {}
    """Pod labels, where ``image`` is None."""
    container: str | None = None
    """Container name, where the pod has several that fit."""
    sync: tuple[SyncPath, ...] = ()
    command: tuple[str, ...] = ()
    """What the container runs while it is developed; empty: what it would run anyway."""
    working_dir: str | None = None
    env: dict[str, str] = {}
    restart: tuple[str, ...] = ()
    """Globs, relative to the sync's local folder: a synced file that matches restarts the process."""
    rebuild: tuple[str, ...] = ()
    """Globs as those of ``restart``: a file that matches is built into a new image instead of synced."""
    actions: tuple[SyncAction, ...] = ()
    """In order, each once a batch, before a restart; a failing one keeps the process that runs."""
    ports: tuple[PortForward, ...] = ()
    open: str | None = None


class ProjectReference(Model, frozen=True, kw_only=True):
    """Another project with a file of its own."""

    path: Path | None = None
    git: str | None = None
    ref: str | None = None
    folder: str = ""
    """Below the path or the clone."""
    profiles: tuple[str, ...] = ()
    variables: dict[str, str] = {}


class Dependency(Model, frozen=True, kw_only=True):
    """What has to be ready before the project: someone else's manifests, or another project."""

    name: str
    source: ManifestSource | ProjectReference
    namespace: str | None = None


class Command(Model, frozen=True, kw_only=True):
    """``loop run NAME``: run by the user's shell in the project's folder."""

    name: str
    run: str
    description: str = ""


class Environment(Model, frozen=True, kw_only=True):
    """Where the project is promoted to."""

    name: str
    variables: Path | None = None
    namespace: str | None = None
    profiles: tuple[str, ...] = ()
    """Active for this environment, before those of the command line."""
    cluster: str | None = None
    """The cluster's name in the GitOps repository; the environment's unless given."""
    labels: dict[str, str] = {}
    """Put on every object, so that a cluster's tools can tell environments apart."""


Gate = Literal["schema", "plain-secret", "mutable-tag", "local-value", "namespace", "policy", "random", "target"]
"""What a promotion is checked for: unknown fields and kinds, Secrets that anyone can read, images without a digest, the
laptop's values and the dev overlay, objects without a namespace, the project's own policies, output that differs from
render to render, a target folder that someone edited or that is another project's."""


class Exemption(Model, frozen=True, kw_only=True):
    """An object that a gate lets through; for ``target`` the command line has a word, not the project."""

    gate: Gate
    object: str
    """Glob for ``Kind/name``."""
    reason: str


Layout = Literal["folder", "cluster", "branch"]
"""Where an environment's manifests are in the GitOps repository, beside what others keep there.

``folder``: ``ENV/PROJECT``. ``cluster``: ``CLUSTER/manifests/NAMESPACE/PROJECT``, and the filled-in templates in
``CLUSTER/templates/…``. ``branch``: the folder ``PROJECT`` on the branch ``environments/ENV``, proposed on
``environments/ENV-next`` with a ``hydrator.metadata`` (the contract of Argo CD's Source Hydrator 3.5 and GitOps
Promoter 0.36)."""


class GitOps(Model, frozen=True, kw_only=True):
    """The repository that Flux or Argo CD reconciles, and how to change it."""

    repository: str
    """URL or path, as git takes it."""
    branch: str = "main"
    """Target of pull requests; with the layout ``branch`` what new environments' branches begin from."""
    layout: Layout = "folder"
    files: Literal["object", "one"] = "object"
    """A file per object, or one ``manifests.yaml``."""
    forge: Literal["github", "gitlab", "azure", "gitea", "bitbucket", "git"] | None = None
    """None: told by the repository's address. ``git``: a branch is pushed, and that is all."""
    reviewers: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    policies: Path | None = None
    """Folder of Rego files."""
    schemas: tuple[Path, ...] = ()
    """CustomResourceDefinitions that the cluster has: files or folders."""
    kubernetes: str | None = None
    """Version of the environments' clusters: ``1.36``; the newest known unless given."""
    allow: tuple[Exemption, ...] = ()


class Project(Model, frozen=True, kw_only=True):
    name: str
    file: Path
    folder: Path
    variables: dict[str, Variable] = {}
    images: dict[str, Image] = {}
    manifests: tuple[ManifestSource, ...] = ()
    dev: dict[str, DevTarget] = {}
    dependencies: dict[str, Dependency] = {}
    hooks: dict[str, tuple[str, ...]] = {}
    """Hook point to shell commands, run in order."""
    commands: dict[str, Command] = {}
    plugins: tuple[Path, ...] = ()
    environments: dict[str, Environment] = {}
    gitops: GitOps | None = None
    profiles: tuple[str, ...] = ()
    """Active ones, in the order of application."""
    files: tuple[Path, ...] = ()
    """Every file that the configuration was read from, or would be if it came (``.env``): when one changes, so may
    the model."""
    context: str = ""
    """Name of the kubeconfig's context that the project is for; empty where there is none."""
    namespace: str = "default"
    environment: str | None = None
    """The environment it was loaded for, None on a laptop."""
    locations: dict[str, Location] = {}
    """Dotted path in the file (``images.web.context``) to the place where it stands."""

    def where(self, path: str) -> Location:
        """The place of a dotted path, or of its nearest ancestor that has one."""
        while path and path not in self.locations:
            path = path.rpartition(".")[0]
        return self.locations.get(path, Location(str(self.file)))
