"""What a promotion would change in the GitOps repository, and what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from innerloop.errors import LoopError
from innerloop.gitops.differences.differences import Difference, compare
from innerloop.gitops.differences.manifest_files import manifests_of
from innerloop.gitops.gates import target
from innerloop.gitops.gates.findings import Finding
from innerloop.gitops.places.contents import is_manifest
from innerloop.gitops.places.layouts import Place
from innerloop.gitops.places.standing import State, written_paths
from innerloop.gitops.provenance import Provenance, encode
from innerloop.manifest import Manifest


class Allowed(NamedTuple):
    """What the user has consented to, for this once."""

    empty: bool = False
    """That no object is left."""
    over_rollback: bool = False
    """That what was rolled back comes again."""
    overwrite_edits: bool = False
    take_over: bool = False
    """That files are replaced which no promotion of the project wrote."""


class Wanted(NamedTuple):
    """What an environment is to be."""

    files: dict[str, bytes]
    """By path in the repository, without the file of provenance."""
    provenance: Provenance
    title: str
    introduction: str
    """Markdown: what the reader of the pull request should know first; may be empty."""
    notes: str
    """Markdown, after the provenance: what gates let through; may be empty."""
    is_rollback: bool = False


class Plan(NamedTuple):
    after: dict[str, bytes]
    """Everything at the owned paths as it is to be, without the file of provenance."""
    removed: list[str]
    written: dict[str, bytes]
    """What is new or changed, and the file of provenance."""
    differences: list[Difference]
    unreadable: list[str]
    """Files on the base branch that have no objects which could be compared."""


def plan(base: State, wanted: Wanted, place: Place, allowed: Allowed) -> Plan | None:
    """How to get from what is to what is wanted; None where nothing but provenance differs.

    What others put beside the rendered files stays. Raises LoopError, see ``refuse``.
    """
    refuse(base, wanted, place, allowed)
    ours = _ours(base, place, allowed)
    kept = {path: content for path, content in base.files.items() if path not in ours}
    after = kept | wanted.files
    # an edit by hand that the templates have now is to be known as rendered
    if after == base.files and base.provenance and base.provenance.files == wanted.provenance.files:
        return None
    changed = {path: content for path, content in after.items() if base.files.get(path) != content}
    before = {path: content for path, content in base.files.items() if after.get(path) != content}
    old, unreadable = _readable({path: before[path] for path in before if not _is_template(path, place)})
    new = manifests_of({path: content for path, content in changed.items() if is_manifest(path, place)})
    return Plan(
        after=after,
        removed=sorted(base.files.keys() - after.keys()),
        written=changed | {place.metadata: encode(wanted.provenance)},
        differences=compare(old, new),
        unreadable=unreadable,
    )


def removes_everything(base: State, wanted: Wanted, place: Place, allowed: Allowed) -> bool:
    """Whether objects that are there go, and none comes."""
    there = any(is_manifest(path, place) for path in _ours(base, place, allowed))
    return there and not any(is_manifest(path, place) for path in wanted.files)


def _ours(base: State, place: Place, allowed: Allowed) -> frozenset[str]:
    """Paths of the files that a promotion of ours wrote, or is to take over: those that go where nobody wants them."""
    if base.provenance is None:
        return frozenset(base.files) if allowed.take_over else frozenset()
    written = written_paths(base.provenance, place)
    return frozenset(path for path in base.files if path in written or _is_template(path, place))


def _is_template(path: str, place: Place) -> bool:
    return bool(place.templates) and path.startswith(f"{place.templates}/")


def _readable(files: Mapping[str, bytes]) -> tuple[list[Manifest], list[str]]:
    """The objects of files, and the paths of those files that have been broken by hand."""
    found: list[Manifest] = []
    unreadable = []
    for path in sorted(files):
        try:
            found += manifests_of({path: files[path]})
        except LoopError:
            # what is wrong with it goes with it
            unreadable.append(path)
    return found, unreadable


def refuse(base: State, wanted: Wanted, place: Place, allowed: Allowed) -> None:
    """Raise LoopError where the place is not ours, or where something of others would be lost."""
    provenance = base.provenance
    if provenance is None:
        if (base.files or base.foreign) and not allowed.take_over:
            raise _no_metadata(base, place)
        return
    found = [
        *target.owner_findings(provenance, wanted.provenance.project, wanted.provenance.environment, place.metadata)
    ]
    if not allowed.overwrite_edits:
        folder = place.folder
        relative = {path.removeprefix(f"{folder}/"): content for path, content in base.files.items()}
        lost = target.edit_findings(provenance, relative, folder)
        found += [one for one in lost if base.files.get(one.where) != wanted.files.get(one.where)]
    written = written_paths(provenance, place)
    for path in sorted(wanted.files.keys() & base.files.keys()):
        theirs = is_manifest(path, place) and path not in written and base.files[path] != wanted.files[path]
        if theirs and not allowed.take_over:
            message = "it is there, and no promotion wrote it"
            hint = "remove it in the GitOps repository, or --take-over to replace it"
            found.append(Finding("target", "", message, path, hint))
    if found:
        raise refusal(found)


def refusal(found: list[Finding]) -> LoopError:
    """The error of findings that nothing lets through."""
    lines = [f"{': '.join(filter(None, [one.gate, one.where, one.object]))}: {one.message}" for one in found]
    hints = dict.fromkeys(one.hint for one in found if one.hint)
    count = "a gate stops" if len(found) == 1 else f"{len(found)} findings of gates stop"
    return LoopError(f"{count} the promotion", detail="\n".join(lines), hint="; ".join(list(hints)[:3]) or None)


def _no_metadata(base: State, place: Place) -> LoopError:
    paths = sorted(base.files)[:5] or [place.metadata]
    more = len(base.files) - len(paths)
    what = "another tool writes" if base.foreign else "no promotion wrote"
    return LoopError(
        f"{place.folder} has files in the GitOps repository that {what}",
        detail="\n".join(paths) + (f"\nand {more} more" if more > 0 else ""),
        hint="promote with --take-over to replace them, or choose another `gitops.layout`",
    )
