"""What developing changes in the rendered manifests, as a step of its own after rendering."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from innerloop.dev import helper
from innerloop.dev.matching import Match, RunnableImage, match, runs
from innerloop.dev.placing import Labels, place
from innerloop.errors import LoopError
from innerloop.manifest import TARGET_ANNOTATION, Manifest
from innerloop.project import DevTarget

RESTART_GRACE_SECONDS = 5
"""Between SIGTERM and SIGKILL at a restart, less where the pod's own grace period is shorter."""


def overlay(
    manifests: Sequence[Manifest],
    targets: Iterable[DevTarget],
    images: Mapping[str, RunnableImage],
    *,
    nodes: Sequence[Labels] = (),
    project: str = "",
) -> list[Manifest]:
    """Copies of the manifests, changed for development; the originals stay as they are.

    Containers of the targets get the helper mounted and their command wrapped by it, the target's command, working
    folder and environment; their liveness and startup probes go (a breakpoint or a crash must not end them), the
    readiness probe stays. Where nodes of several architectures would take a pod, it is kept to one. Nothing else
    changes. ``images`` are the built ones by name, ``nodes`` the labels of each node (none: not known), ``project``
    keeps the helper's ConfigMap apart from other projects' in the same namespace.

    A target's command is what Kubernetes' ``command`` would be: ``$(NAME)`` in it is replaced by the kubelet.

    Raises LoopError when a target means no container, or is to be restarted but its command is not known.
    """
    copies = [Manifest(copy.deepcopy(manifest.object), manifest.source) for manifest in manifests]
    matches = match(copies, targets, images)
    mounted = [one for one in matches if _needs_helper(one.target)]
    maps: dict[tuple[str, str], Manifest] = {}
    for one in matches:
        _annotate(one)
        _set_environment(one)
    for one in mounted:
        image = _image_of(one, images)
        architecture = place(_section(_template(one), "spec"), nodes, image.architecture if image else None)
        place_of_map = (one.manifest.namespace, architecture)
        if place_of_map not in maps:
            maps[place_of_map] = helper.config_map(architecture, one.manifest.namespace, project)
        _mount(one, maps[place_of_map].name)
        _wrap(one, image)
        for probe in ("livenessProbe", "startupProbe"):
            one.container.pop(probe, None)
    return [*maps.values(), *copies]


def original_command(container: Mapping[str, Any], image: RunnableImage | None) -> list[str] | None:
    """What a container runs, by Kubernetes' rules for command, args, ENTRYPOINT and CMD; None: not known.

    https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/
    """
    command, arguments = container.get("command") or [], container.get("args") or []
    if command:
        return [*command, *arguments]
    if image is None or image.config is None:
        return None
    entrypoint = [_literal(word) for word in image.config.entrypoint]
    found = [*entrypoint, *(arguments or [_literal(word) for word in image.config.cmd])]
    return found or None


def _literal(word: str) -> str:
    # the kubelet replaces $(NAME) in args, the image's own words were never meant for that; $$ stands for $
    return word.replace("$", "$$")


def _needs_helper(target: DevTarget) -> bool:
    return bool(target.sync or target.command or target.restart)


def _annotate(one: Match) -> None:
    template = _template(one)
    annotations = _section(_section(template, "metadata"), "annotations")
    pair = f"{one.target.name}={one.container['name']}"
    annotations[TARGET_ANNOTATION] = ",".join(filter(None, (annotations.get(TARGET_ANNOTATION), pair)))


def _set_environment(one: Match) -> None:
    if one.target.working_dir is not None:
        one.container["workingDir"] = one.target.working_dir
    if not one.target.env:
        return
    values = dict(one.target.env)
    variables = [
        {"name": entry["name"], "value": values.pop(entry["name"])} if entry.get("name") in values else entry
        for entry in one.container.get("env") or []
    ]
    one.container["env"] = variables + [{"name": name, "value": value} for name, value in values.items()]


def _mount(one: Match, config_map: str) -> None:
    spec = _section(_template(one), "spec")
    volume = {"name": helper.VOLUME, "configMap": {"name": config_map, "defaultMode": 0o555}}
    volumes = spec.get("volumes") or []
    spec["volumes"] = volumes if volume in volumes else [*volumes, volume]
    mount = {"name": helper.VOLUME, "mountPath": helper.MOUNT, "readOnly": True}
    one.container["volumeMounts"] = [*(one.container.get("volumeMounts") or []), mount]


def _image_of(one: Match, images: Mapping[str, RunnableImage]) -> RunnableImage | None:
    return next((image for image in images.values() if runs(one.container, image)), None)


def _wrap(one: Match, image: RunnableImage | None) -> None:
    target, container = one.target, one.container
    command = list(target.command) or original_command(container, image)
    if command is None:
        if target.restart or any(action.signal for action in target.actions):
            raise LoopError(
                f"dev.{target.name}: cannot restart or signal the process of {one}: its command is not known",
                detail=f"the manifest has no command, and what {container.get('image')} runs cannot be looked up",
                hint=f"set dev.{target.name}.command",
            )
        return
    container["command"] = [helper.PROGRAM, "run", "--grace", str(_grace_ms(one)), "--"]
    container["args"] = command


def _grace_ms(one: Match) -> int:
    seconds = _section(_template(one), "spec").get("terminationGracePeriodSeconds")
    return 1000 * min(RESTART_GRACE_SECONDS, RESTART_GRACE_SECONDS if seconds is None else int(seconds))


def _template(one: Match) -> dict[str, Any]:
    template = one.manifest.pod_template
    assert template is not None
    return template


def _section(parent: dict[str, Any], name: str) -> dict[str, Any]:
    if parent.get(name) is None:
        parent[name] = {}
    section: dict[str, Any] = parent[name]
    return section
