"""Finding the place of each change by experiment: an edit is made in the copy, and kept when the rendering then has
exactly what is live, and nothing else has changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from innerloop.errors import Location, LoopError
from innerloop.gitops.harvest import fields
from innerloop.gitops.harvest.changes import Change
from innerloop.gitops.harvest.copies import Copy, Field, Rendered, identity
from innerloop.gitops.harvest.fields import ABSENT, differences, same
from innerloop.gitops.harvest.guesses import Guess
from innerloop.gitops.harvest.guessing import guesses
from innerloop.gitops.harvest.scalars import as_text, solutions
from innerloop.gitops.harvest.sources import source_files
from innerloop.project import Project

MOST = 60
"""Guesses that are tried for one change: a rendering takes about a tenth of a second."""


class Edit(NamedTuple):
    where: Location
    what: str
    """For people: ``front.image``."""


class Attributed(NamedTuple):
    """What became of a change: the places that make it, or the reason why there are none."""

    change: Change
    edits: tuple[Edit, ...] = ()
    reason: str = ""


class _Kept(NamedTuple):
    """An edit that is in the copy, and what takes it back."""

    edit: Edit
    file: Path
    text: str
    rendered: Rendered


class Experiments:
    """The copy with what it renders by now. ``noise`` are fields that differ from rendering to rendering, ``within`` is
    the folder of what may be edited."""

    def __init__(self, copy: Copy, project: Project, within: Path, rendered: Rendered, noise: frozenset[Field]) -> None:
        self._copy = copy
        self._project = project
        self._within = within
        self._rendered = rendered
        self._noise = noise

    async def attribute(self, changes: Sequence[Change]) -> list[Attributed]:
        """What became of each change, in order; the edits of those that have places stay in the copy."""
        found: dict[int, Attributed] = {}
        pending = {number: change for number, change in enumerate(changes) if not change.reason}
        for number, change in enumerate(changes):
            if number in found:
                continue
            if number not in pending:
                found[number] = Attributed(change, (), change.reason)
                continue
            outcome = await self._one(pending[number], list(pending.values()))
            if not outcome.edits:
                found[number] = outcome
                del pending[number]
                continue
            # what decides one field may decide others, which were changed alike
            made = {n: one for n, one in pending.items() if self._is_made(one)}
            found |= {n: Attributed(one, outcome.edits) for n, one in made.items() if n not in found}
            pending = {n: _beside(one, made.values()) for n, one in pending.items()}
        return [found[number]._replace(change=change) for number, change in enumerate(changes)]

    async def _one(self, change: Change, others: Sequence[Change]) -> Attributed:
        kept, reason = await self._try(change, others)
        if kept is not None:
            return Attributed(change, (kept.edit,))
        if (halves := _halves(change)) is None:
            return Attributed(change, (), reason)
        # repository and tag often stand in two places
        name, tag = halves
        first, _ = await self._try(name, [name])
        if first is not None:
            second, _ = await self._try(tag, others)
            if second is not None:
                return Attributed(change, (first.edit, second.edit))
            self._copy.write(first.file, first.text)
            self._rendered = first.rendered
        return Attributed(change, (), reason)

    async def _try(self, change: Change, others: Iterable[Change]) -> tuple[_Kept | None, str]:
        """The first guess that makes the change, or why none does."""
        files = source_files(self._project, self._within, change.source)
        project = self._copy.load()
        found = guesses(change, files, self._copy.read, project)
        reasons = []
        for guess in found[:MOST]:
            before = self._copy.read(guess.file)
            self._copy.write(guess.file, guess.text)
            rendered = await self._rendering()
            told = "has no effect" if rendered is None else self._objection(change, others, rendered)
            if rendered is not None and not told:
                kept = _Kept(Edit(guess.where, guess.what), guess.file, before, self._rendered)
                self._rendered = rendered
                return kept, ""
            reasons.append((guess, told))
            self._copy.write(guess.file, before)
        reason = _reason(change, reasons, more=len(found) - MOST)
        return None, _given_elsewhere(change, project) or reason

    async def _rendering(self) -> Rendered | None:
        try:
            return await self._copy.render()
        except LoopError:
            # a value that does not fit there: it is not the place
            return None

    def _objection(self, change: Change, others: Iterable[Change], rendered: Rendered) -> str:
        """Why an edit is not the place of a change; empty when it is."""
        namespace = self._project.namespace
        if not all(same(rendered.get(field, ABSENT), value) for field, value in _leaves(change, namespace).items()):
            return "has no effect"
        wanted = {field: value for one in others for field, value in _leaves(one, namespace).items()}
        changed = differences(self._rendered, rendered)
        for (object, path), value in changed.items():
            field = (object, path)
            expected = field in wanted and same(wanted[field], value)
            if not expected and field not in self._noise and not self._is_frame(field, rendered, wanted):
                return f"decides {object[1]}/{object[3]} {fields.shown(path)} too"
        return ""

    def _is_frame(self, field: Field, rendered: Rendered, wanted: Iterable[Field]) -> bool:
        """Whether a field only tells that a mapping or list is empty in which something wanted comes or goes."""
        object, path = field
        values = (self._rendered.get(field, ABSENT), rendered.get(field, ABSENT))
        if not all(value in (ABSENT, None, {}, []) for value in values):
            return False
        return any(one == object and inner[: len(path)] == path for one, inner in wanted)

    def _is_made(self, change: Change) -> bool:
        leaves = _leaves(change, self._project.namespace)
        return all(same(self._rendered.get(field, ABSENT), value) for field, value in leaves.items())


def _leaves(change: Change, namespace: str) -> Rendered:
    object = identity(change.key, namespace)
    return {(object, path): value for path, value in change.leaves.items()}


def _beside(change: Change, made: Iterable[Change]) -> Change:
    """As it is once others have been made in the same mapping or list."""
    around = change.around
    for one in made:
        if one.key != change.key or one.path[:-1] != change.path[:-1] or one.path == change.path:
            continue
        if isinstance(around, list):
            around = [*around, one.new] if one.new is not ABSENT else [item for item in around if item != one.old]
        elif isinstance(around, dict):
            rest = {name: value for name, value in around.items() if name != one.path[-1]}
            around = rest | ({one.path[-1]: one.new} if one.new is not ABSENT else {})
    return change._replace(around=around)


def _halves(change: Change) -> tuple[Change, Change] | None:
    """An image's change as one of its repository, then one of its tag; None for what is no such change."""
    if change.path[-1] != "image" or not isinstance(change.old, str) or not isinstance(change.new, str):
        return None
    old, new = _split(change.old), _split(change.new)
    if old[0] == new[0] or old[1] == new[1] or not all((*old, *new)):
        return None
    between = new[0] + old[1]
    return change._replace(new=between), change._replace(old=between)


def _split(reference: str) -> tuple[str, str]:
    """Repository, and tag and digest with the sign before them."""
    name = reference.partition("@")[0]
    end = name.rfind(":") if ":" in name.rpartition("/")[2] else len(name)
    return reference[:end], reference[end:]


def _reason(change: Change, tried: Sequence[tuple[Guess, str]], *, more: int) -> str:
    if not tried:
        return f"nothing in the project's templates and values says it: {_origin(change)} computes it"
    telling = next(((guess, why) for guess, why in tried if why != "has no effect"), None)
    if telling is not None:
        guess, why = telling
        return f"{guess.where} {guess.what} {why}, which nobody changed alike"
    if more > 0:
        return f"more than {MOST} places say the same: give it a value that is not as common, and try again"
    return f"{_origin(change)} computes it: none of the {len(tried)} places that say something alike decides it"


def _given_elsewhere(change: Change, project: Project) -> str:
    """The reason where a variable decides it that no file gives its value."""
    if ABSENT in (change.old, change.new):
        return ""
    elsewhere = {"process": "the environment of this process", "set": "--set"}
    for name, variable in project.variables.items():
        kind = variable.origin.kind
        if kind in elsewhere and solutions(variable.value, as_text(change.old), as_text(change.new)):
            return f"it comes from the variable {name}, which {elsewhere[kind]} decides"
    return ""


def _origin(change: Change) -> str:
    return change.source or "the template"
