"""What is there already and is newer than what is promoted: by a pipeline that was run again, or took longer."""

from __future__ import annotations

from typing import NamedTuple

from innerloop.events import Emit, Notice
from innerloop.gitops.places.standing import Standing, State
from innerloop.gitops.promotion import wording
from innerloop.gitops.promotion.planning import Wanted
from innerloop.gitops.promotion.work import Work
from innerloop.gitops.provenance import SourceCommit


class Newer(NamedTuple):
    """A source commit that contains the one which is promoted, and more."""

    where: str
    """``main has``, ``pull request 3 proposes``."""
    source: SourceCommit
    than: SourceCommit

    @property
    def words(self) -> str:
        source, than = self.source.commit[: wording.SHORT], self.than.commit[: wording.SHORT]
        return f"{self.where} {source}, which is newer than {than}"


async def there(work: Work, standing: Standing, wanted: Wanted) -> Newer | None:
    """The newer commit that the environment has, or that is proposed for it; None where there is none, where it is gone
    back from on purpose, and where the clone does not know."""
    if wanted.is_rollback:
        return None
    than, place = wanted.provenance.source, work.place
    if found := await _contains(work, standing.base, than):
        return Newer(f"{place.base} has", found, than)
    head = standing.head
    if head is None or head.files == standing.base.files or not (found := await _contains(work, head, than)):
        return None
    pull = await work.forge.find(place.head, place.base)
    if pull is None:
        return Newer(f"branch {place.head} proposes", found, than)
    return Newer(f"pull request {pull.number} proposes", found, than) if pull.state == "open" else None


def minded(wanted: Wanted, ahead: Newer | None, emit: Emit) -> Wanted:
    """With a word on what it goes back from."""
    if ahead is None:
        return wanted
    hint = "promote the newest commit, unless it is meant"
    emit(Notice(level="warning", message=f"this goes back: {ahead.words}", hint=hint))
    word = f"**This goes back**: {ahead.words}."
    return wanted._replace(introduction="\n\n".join(filter(None, [word, wanted.introduction])))


async def _contains(work: Work, state: State, than: SourceCommit) -> SourceCommit | None:
    source = state.provenance.source if state.provenance else None
    # what no commit has is neither older nor newer
    if source is None or not source.commit or not than.commit or not than.clean:
        return None
    return source if await work.history.relation(than.commit, source.commit) == "before" else None
