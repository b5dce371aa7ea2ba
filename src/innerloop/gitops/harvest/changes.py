"""What is on the cluster otherwise than the project renders it, and was set by somebody's hand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from innerloop.deploy import inventory, planning, records
from innerloop.deploy.planning import Planned
from innerloop.deploy.together import together
from innerloop.gitops.harvest.fields import ABSENT, Item, Path, find, flatten, nested, same, shown, with_field
from innerloop.gitops.harvest.ownership import Owners, is_person, owners
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import ApiError, NotFound
from innerloop.manifest import TARGET_ANNOTATION, Manifest, ObjectKey
from innerloop.project import Project
from innerloop.references import repository
from innerloop.render.images import CONTAINER_LISTS, image_references, replace_images

_PASSING = re.compile(
    r"metadata\.annotations\[(kubectl\.kubernetes\.io/last-applied-configuration|deployment\.kubernetes\.io/.*)\]"
    r"|.*\.annotations\[(kubectl\.kubernetes\.io/restartedAt|innerloop\.dev/.*)\]"
    r"|metadata\.labels\[innerloop\.dev/.*\]|spec\.paused"
)
"""Traces of an action (a restart, a pause), which are no part of what is wanted."""
_OVERLAID = ("livenessProbe", "startupProbe")
"""What developing takes out of a container."""


class Change(NamedTuple):
    """One field, or all of a mapping or list that is new or gone, as somebody left it."""

    key: ObjectKey
    """With its namespace."""
    source: str
    """Where the object was rendered from, as manifests tell it."""
    path: Path
    old: Any
    """As it is rendered, ABSENT for what is new."""
    new: Any
    """As it is live, ABSENT for what is gone."""
    managers: tuple[str, ...] = ()
    """Who set it, by the names of field managers; nobody is known to have removed something."""
    reason: str = ""
    """Why it is not to be looked for in the templates."""
    around: Any = ABSENT
    """The rendered mapping or list that it is in."""

    def __str__(self) -> str:
        return f"{self.key} {shown(self.path)}"

    @property
    def leaves(self) -> dict[Path, Any]:
        """Every field of it with its wanted value."""
        if self.new is ABSENT:
            return dict.fromkeys(flatten(self.old, self.path), ABSENT)
        return flatten(self.new, self.path)


async def changes(client: Client, project: Project, manifests: Sequence[Manifest]) -> list[Change]:
    """The changes of all objects that the project has deployed, in the order of ``manifests``, its own rendering.

    Raises LoopError when it is not deployed, ApiError, ConnectionFailed.
    """
    stored = await inventory.read(client, project.name, project.namespace)
    entries = stored.inventory.entries if stored else {}
    planned = [one for one in await planning.plan(client, manifests, project.namespace) if one.identity in entries]
    live = await together(partial(_live, client), planned, name="get")
    found: list[Change] = []
    for one, object in zip(planned, live, strict=True):
        if object is not None:
            deployed = _as_deployed(one, object, project)
            is_last = entries[one.identity].hash == deployed.hash
            found += await _of_object(client, deployed, object, project, is_last=is_last)
    return found


async def is_deployed(client: Client, project: Project) -> bool:
    return await inventory.read(client, project.name, project.namespace) is not None


async def _live(client: Client, planned: Planned) -> dict[str, Any] | None:
    try:
        found = await objects.get(client, planned.key)
    except NotFound:
        return None
    return {"apiVersion": planned.key.api_version, "kind": planned.key.kind, **found}


def _as_deployed(planned: Planned, live: dict[str, Any], project: Project) -> Planned:
    """With the images that were built, which the templates do not know: those that we applied and nobody changed."""
    built = {image.repository for image in project.images.values()}
    mine = owners(live)
    references: dict[str, str] = {}
    for use in image_references([Manifest(planned.object)]):
        path = _path_of(planned.object, use.path)
        running = find(live, path)
        if isinstance(running, str) and _is_built(use.reference, built) and objects.MANAGER in mine.get(path, ()):
            references[use.reference] = running
    (replaced,) = replace_images([Manifest(planned.object, planned.source)], references)
    return planned._replace(object=replaced.object, hash=records.manifest_hash(replaced.object))


def _path_of(object: dict[str, Any], position: tuple[str | int, ...]) -> Path:
    """The path of a container's image, from its place by positions."""
    *outer, name, index = position
    found: Path = tuple(outer)
    assert isinstance(index, int)
    container = find(object, (*found, name))[index]
    step = Item("name", container["name"]) if isinstance(container.get("name"), str) else index
    return (*found, name, step, "image")


def _is_built(reference: str, built: set[str]) -> bool:
    return repository(reference) in {repository(name) for name in built}


async def _of_object(
    client: Client, planned: Planned, live: dict[str, Any], project: Project, *, is_last: bool
) -> list[Change]:
    who = owners(live)
    # what the server makes of our fields: quantities in their usual form, defaults
    applied = await objects.apply(client, planned.object, force=True, dry_run=True)
    rendered, wanted, there = (flatten(_decided(one)) for one in (planned.object, applied, live))
    told = [*_altered(planned, rendered, wanted, there, who), *_added(planned, live, there, who)]
    told += _removed(planned, live, wanted, there, is_last=is_last)
    if any(one.old is ABSENT for one in told):
        filled = await _filled(client, planned, {})
        told = [one for one in told if not _is_default(one, filled)]
    return [await _without_defaults(client, planned, _judged(one, project)) for one in told]


def _decided(object: dict[str, Any]) -> dict[str, Any]:
    """What somebody decides of an object: all but its state and what the server keeps of it."""
    metadata = {part: value for part, value in object["metadata"].items() if part in ("labels", "annotations")}
    rest = {name: value for name, value in object.items() if name not in ("status", "apiVersion", "kind")}
    return rest | {"metadata": metadata}


def _altered(
    planned: Planned, rendered: Mapping[Path, Any], wanted: Mapping[Path, Any], there: Mapping[Path, Any], who: Owners
) -> Iterator[Change]:
    for path, value in there.items():
        people = _people(who, path)
        if path in rendered and people and not _is_passing(path) and not same(wanted.get(path, ABSENT), value):
            yield Change(planned.key, planned.source, path, rendered[path], value, people)


def _added(planned: Planned, live: dict[str, Any], there: Mapping[Path, Any], who: Owners) -> Iterator[Change]:
    blocks: dict[Path, dict[Path, Any]] = {}
    for path, value in there.items():
        top = _first_missing(planned.object, path)
        if top is not None and value not in ({}, []) and _people(who, path) and not _is_passing(path):
            blocks.setdefault(top, {})[path] = value
    for top, leaves in blocks.items():
        people = tuple(dict.fromkeys(name for path in leaves for name in _people(who, path)))
        around = find(planned.object, top[:-1])
        yield Change(planned.key, planned.source, top, ABSENT, nested(leaves, len(top)), people, around=around)


def _removed(
    planned: Planned, live: dict[str, Any], wanted: Mapping[Path, Any], there: Mapping[Path, Any], *, is_last: bool
) -> Iterator[Change]:
    """Nothing tells who removed a field: it is gone by hand when what is rendered is what was applied last."""
    rendered = flatten(_decided(planned.object))
    tops = dict.fromkeys(
        top for path in rendered if path not in there and (top := _first_missing(live, path)) is not None
    )
    developed = _developed(live)
    for top in tops:
        old = find(planned.object, top)
        # a field that the server leaves out, such as an empty value, is not gone
        if not any(path[: len(top)] == top for path in wanted) or _is_overlaid(top, developed):
            continue
        reason = "" if is_last else "the templates are not those that were deployed last, so it may not be there yet"
        around = find(planned.object, top[:-1])
        yield Change(planned.key, planned.source, top, old, ABSENT, (), reason, around)


def _first_missing(object: dict[str, Any], path: Path) -> Path | None:
    """The shortest beginning of a path that leads to nothing, or to something empty; None where all of it is there."""
    beginnings = (path[:end] for end in range(1, len(path) + 1))
    return next((one for one in beginnings if find(object, one) in (ABSENT, None, {}, [])), None)


def _is_passing(path: Path) -> bool:
    return _PASSING.fullmatch(shown(path)) is not None


def _people(who: Owners, path: Path) -> tuple[str, ...]:
    managers = who.get(path, [])
    if objects.MANAGER in managers:
        return ()
    return tuple(name for name in managers if is_person(name, objects.MANAGER))


def _developed(live: dict[str, Any]) -> set[str]:
    """Containers that have the dev overlay."""
    template = Manifest(live).pod_template or {}
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    pairs = str(annotations.get(TARGET_ANNOTATION, "")).split(",")
    return {pair.partition("=")[2] for pair in pairs} - {""}


def _is_overlaid(path: Path, developed: set[str]) -> bool:
    return path[-1] in _OVERLAID and any(getattr(step, "value", None) in developed for step in path)


def _judged(change: Change, project: Project) -> Change:
    """With the reason why it is no business of the templates, if there is one."""
    if change.key.kind == "Secret":
        return change._replace(new="***", old="***", reason="the values of Secrets are not written into templates")
    is_image = change.path[-1] == "image" and any(step in CONTAINER_LISTS for step in change.path)
    built = [image.repository for image in project.images.values()]
    if is_image and any(_ends_with(repository(str(change.new)), name) for name in built):
        return change._replace(reason="the project builds this image, and each build decides its tag")
    return change


def _ends_with(full: str, name: str) -> bool:
    """Whether a repository is one of ours, wherever it was pushed to."""
    return f"/{full}".endswith(f"/{name}") or f"/{full}".endswith(f"/{name.partition('/')[2] or name}")


def _is_default(change: Change, filled: dict[str, Any]) -> bool:
    """Whether the server would fill in all of it for what is rendered already."""
    if change.old is not ABSENT:
        return False
    return all(same(find(filled, path), value) for path, value in flatten(change.new, change.path).items())


async def _without_defaults(client: Client, planned: Planned, change: Change) -> Change:
    """Without what the server would fill in anyway, such as the periods of a probe."""
    if change.old is not ABSENT or not isinstance(change.new, dict) or change.reason:
        return change
    leaves = flatten(change.new, change.path)
    kept = dict(leaves)
    for path, value in leaves.items():
        fewer = {other: kept[other] for other in kept if other != path}
        names_its_item = len(path) > 1 and isinstance(path[-2], Item) and path[-2].key == path[-1]
        if fewer and not names_its_item and same(find(await _filled(client, planned, fewer), path), value):
            kept = fewer
    return change._replace(new=nested(kept, len(change.path)))


async def _filled(client: Client, planned: Planned, leaves: Mapping[Path, Any]) -> dict[str, Any]:
    """What the server would make of a new object with these fields; nothing where it would refuse."""
    object = dict(planned.object)
    for path, value in leaves.items():
        object = with_field(object, path, value)
    metadata = {**object["metadata"], "name": f"{planned.key.name[:50].rstrip('.-')}-harvest"}
    try:
        return await objects.create(client, {**object, "metadata": metadata}, dry_run=True)
    except ApiError:
        return {}
