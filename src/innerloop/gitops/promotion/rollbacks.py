"""Going back, so that the next promotion does not undo it without a word."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from innerloop.errors import LoopError
from innerloop.events import Emit, Notice
from innerloop.gitops.places.layouts import Place
from innerloop.gitops.places.standing import Standing, State, state
from innerloop.gitops.promotion import wording
from innerloop.gitops.promotion.planning import Allowed, Wanted
from innerloop.gitops.promotion.work import Work
from innerloop.gitops.provenance import Provenance
from innerloop.gitops.repository.repository import Commit, Repository

LOOKED_AT = (3, 20, 200)
"""Changes of an environment that are looked through for the one to go back to, in steps: history has to be fetched."""


class Past(NamedTuple):
    commit: Commit
    """On the base branch."""
    state: State


async def rolled_back(work: Work, standing: Standing) -> Provenance | None:
    """What the environment was taken back to, merged or only proposed; None where it was not, or has gone on since."""
    head = standing.head.provenance if standing.head else None
    if standing.head and head and head.rolled_back and standing.head.files != standing.base.files:
        pull = await work.forge.find(work.place.head, work.place.base)
        # of plain git, nobody knows
        if pull is None or pull.state == "open":
            return head
    base = standing.base.provenance
    return base if base and base.rolled_back else None


def minded(wanted: Wanted, before: Provenance | None, allowed: Allowed, emit: Emit) -> Wanted:
    """With a word on what was rolled back. Raises LoopError where that comes again without the user's consent."""
    if before is None or wanted.is_rollback:
        return wanted
    source = wanted.provenance.source
    again = before.rolled_back in (source.commit, wanted.provenance.inputs)
    gone = before.rolled_back[: wording.SHORT]
    if again and not allowed.over_rollback:
        raise LoopError(
            f"{gone} was rolled back in {before.environment}, and would come again",
            hint="promote a commit that mends it, or --over-rollback to have it again",
        )
    if wanted.provenance.source.commit == before.source.commit:
        # it is what was gone back to
        return wanted
    what = f"{'it' if again else gone} was rolled back there to {before.source.commit[: wording.SHORT]}"
    emit(Notice(level="warning", message=f"this goes over a rollback of {before.environment}: {what}"))
    word = (
        f"**This goes over a rollback**: {wording.code(gone)} was rolled back to"
        f" {wording.code(before.source.commit[: wording.SHORT])} {wording.code(before.source.subject)}."
    )
    return wanted._replace(introduction="\n\n".join(filter(None, [word, wanted.introduction])))


async def past(repository: Repository, place: Place, standing: Standing, to: str) -> Past:
    """The state to go back to: that before the last change, or that of a commit (``to``), of this repository or the
    source's, by the beginning of its id.

    Once more after a rollback goes further back. Raises LoopError where there is none.
    """
    base = standing.base
    if not base.files or base.provenance is None:
        raise LoopError(f"there is nothing of ours in {place.folder} to go back from", hint="has it been promoted?")
    for count in LOOKED_AT:
        changes = await repository.changes(place.base, base.commit, place.owned, count)
        found = await _among(repository, place, base, changes, to)
        if found is not None:
            return _usable(found, place)
        if len(changes) < count:
            break
    which = f"no change of {place.folder} is {to}, or came from it" if to else f"{place.folder} has no state before"
    raise LoopError(which, hint=f"`git log {place.base} -- {place.folder}` in the GitOps repository has them")


async def _among(repository: Repository, place: Place, base: State, changes: list[Commit], to: str) -> Past | None:
    # after a rollback the present state appears twice: by the rollback, and as it was before it was left
    left = base.provenance is not None and not base.provenance.rolled_back
    for change in changes:
        there = await state(repository, change.id, place)
        if to:
            if change.id.startswith(to) or (there.provenance and there.provenance.source.commit.startswith(to)):
                return Past(change, there)
        elif there.files == base.files:
            left = left or change.id != changes[0].id
        elif left:
            return Past(change, there)
    return None


def _usable(found: Past, place: Place) -> Past:
    if found.state.provenance is None or not found.state.files:
        raise LoopError(
            f"{place.folder} was not rendered by innerloop in {found.commit.id[: wording.SHORT]}",
            hint="name another commit with --to",
        )
    return found


def going_back(base: State, found: Past) -> Wanted:
    """What the environment is to be, by its own past."""
    assert base.provenance is not None and found.state.provenance is not None
    left, there = base.provenance, found.state.provenance
    # of a rollback further back, what was left first is what must not come again
    mark = left.rolled_back or left.source.commit or left.inputs
    provenance = msgspec.structs.replace(there, rolled_back=mark)
    to = there.source.subject or there.source.commit[: wording.SHORT] or found.commit.id[: wording.SHORT]
    return Wanted(
        files=found.state.files,
        provenance=provenance,
        title=f"Roll back {there.project} in {there.environment} to: {to}",
        introduction=f"This goes back from {_named(left)} to {_named(there)}, as it was in"
        f" {wording.code(found.commit.id[: wording.SHORT])} of this repository.",
        notes="",
        is_rollback=True,
    )


def _named(provenance: Provenance) -> str:
    source = provenance.source
    if not source.commit:
        return "uncommitted sources"
    return " ".join(wording.code(text) for text in (source.commit[: wording.SHORT], source.subject) if text)
