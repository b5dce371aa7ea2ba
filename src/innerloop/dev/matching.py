"""Which containers of the rendered workloads a dev target means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from innerloop.errors import LoopError
from innerloop.manifest import Manifest
from innerloop.project import DevTarget

_RUN_TO_COMPLETION = ("Job", "CronJob")
"""Never developed, also when they run the image: a kept process would keep them from completing."""


class ImageConfig(Protocol):
    """What an image runs by itself."""

    @property
    def entrypoint(self) -> Sequence[str]: ...
    @property
    def cmd(self) -> Sequence[str]: ...


class RunnableImage(Protocol):
    """A built image as far as its containers are concerned."""

    @property
    def repository(self) -> str: ...
    @property
    def reference(self) -> str: ...
    @property
    def architecture(self) -> str:
        """It is a program for: ``amd64``."""

    @property
    def config(self) -> ImageConfig | None:
        """None: not known."""


class Match(NamedTuple):
    target: DevTarget
    manifest: Manifest
    container: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.manifest.key} container {self.container.get('name')}"


def match(
    manifests: Sequence[Manifest], targets: Iterable[DevTarget], images: Mapping[str, RunnableImage]
) -> list[Match]:
    """The containers of each target, at least one each.

    Raises LoopError that tells what was looked for and what there is when a target means none, or when it is not
    clear which.
    """
    found = []
    for target in targets:
        matches = list(_matches(manifests, target, images))
        if not matches:
            raise _nothing(manifests, target, images)
        _check_command(target, matches)
        found += matches
    _check_shared(found)
    return found


def fits_none(manifests: Sequence[Manifest], target: DevTarget) -> bool:
    """Whether a target by selector means no workload of the manifests, so that its pods must be someone else's."""
    return target.image is None and not any(
        target.selector.items() <= _labels(template).items() for _, template in _templates(manifests)
    )


def runs(container: Mapping[str, Any], image: RunnableImage) -> bool:
    """Whether a container runs an image, before or after its reference was replaced by the built one."""
    repository = _repository_of(str(container.get("image", "")))
    return repository in (_repository_of(image.reference), _repository_of(image.repository))


def _repository_of(reference: str) -> str:
    """An image reference without tag, digest and what Docker Hub's names may leave out."""
    name = reference.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    name = folder + slash + last.partition(":")[0]
    for prefix in ("docker.io/library/", "docker.io/", "index.docker.io/library/", "index.docker.io/"):
        name = name.removeprefix(prefix)
    return name


def _matches(manifests: Sequence[Manifest], target: DevTarget, images: Mapping[str, RunnableImage]) -> Iterator[Match]:
    for manifest, template in _templates(manifests):
        if target.image is None:
            fitting = _selected(manifest, template, target)
        else:
            image = images.get(target.image)
            fitting = [one for one in _containers(template) if image and runs(one, image)]
        for container in fitting:
            if target.container in (None, container.get("name")):
                yield Match(target, manifest, container)


def _templates(manifests: Sequence[Manifest]) -> Iterator[tuple[Manifest, dict[str, Any]]]:
    for manifest in manifests:
        template = manifest.pod_template
        if template is not None and manifest.kind not in _RUN_TO_COMPLETION:
            yield manifest, template


def _containers(template: Mapping[str, Any]) -> list[dict[str, Any]]:
    return (template.get("spec") or {}).get("containers") or []


def _labels(template: Mapping[str, Any]) -> dict[str, str]:
    return (template.get("metadata") or {}).get("labels") or {}


def _selected(manifest: Manifest, template: Mapping[str, Any], target: DevTarget) -> list[dict[str, Any]]:
    if not target.selector.items() <= _labels(template).items():
        return []
    containers = _containers(template)
    if len(containers) > 1 and target.container is None:
        names = ", ".join(str(container.get("name")) for container in containers)
        raise LoopError(
            f"dev.{target.name}: the pods of {manifest.key} have several containers: {names}",
            hint=f"say which one by dev.{target.name}.container",
        )
    return containers


def _check_command(target: DevTarget, matches: Sequence[Match]) -> None:
    """One command for containers that run different ones would make them all the same."""
    own = {str((one.container.get("command"), one.container.get("args"))) for one in matches}
    if target.command and len(own) > 1:
        raise LoopError(
            f"dev.{target.name}.command is one command for containers that run different ones",
            detail="\n".join(map(str, matches)),
            hint=f"say which one is meant by dev.{target.name}.container, or by a selector instead of the image",
        )


def _check_shared(matches: Sequence[Match]) -> None:
    owners: dict[int, Match] = {}
    for one in matches:
        former = owners.setdefault(id(one.container), one)
        if former.target is not one.target:
            raise LoopError(f"dev.{former.target.name} and dev.{one.target.name} both mean {one}")


def _nothing(manifests: Sequence[Manifest], target: DevTarget, images: Mapping[str, RunnableImage]) -> LoopError:
    return LoopError(
        f"dev.{target.name}: no workload {_looked_for(target, images)}",
        detail=describe(manifests),
        hint=f"dev.{target.name} needs the name of an image that a container runs, or a selector of pod labels",
    )


def describe(manifests: Sequence[Manifest]) -> str:
    """What there is to be developed, for messages: workloads with their labels, and their containers."""
    there = []
    for manifest, template in _templates(manifests):
        labels = ",".join(f"{name}={value}" for name, value in _labels(template).items())
        there.append(f"{manifest.key} with labels {labels or '(none)'}")
        there += [f"  container {one.get('name')} runs {one.get('image')}" for one in _containers(template)]
    return "\n".join(there) or "the manifests have no workload that can be developed"


def _looked_for(target: DevTarget, images: Mapping[str, RunnableImage]) -> str:
    container = f" as container {target.container}" if target.container else ""
    if target.image is None:
        labels = ",".join(f"{name}={value}" for name, value in target.selector.items())
        return f"has the pod labels {labels}" + (f" and a container {target.container}" if container else "")
    image = images.get(target.image)
    return f"runs {image.repository if image else f'the image {target.image}, which is not built'}{container}"
