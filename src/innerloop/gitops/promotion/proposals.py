"""The branch that is proposed: the project's own, as long as nobody else worked on it."""

from __future__ import annotations

from innerloop.errors import LoopError
from innerloop.events import Notice
from innerloop.gitops.places.standing import Standing, state
from innerloop.gitops.promotion import marks
from innerloop.gitops.promotion.planning import Plan, Wanted
from innerloop.gitops.promotion.work import Work
from innerloop.gitops.provenance import Provenance
from innerloop.gitops.repository.repository import Commit

SHOWN = 10
"""Commits of others that are named."""


async def same_already(work: Work, standing: Standing, wanted: Wanted, plan: Plan) -> str | None:
    """The proposed commit, where it is right as it is.

    It may stand on an older base, as long as that has the same at our paths: to move it would take reviews away.
    """
    head = standing.head
    if head is None or head.files != plan.after or head.provenance is None:
        return None
    if head.provenance.rolled_back != wanted.provenance.rolled_back:
        return None
    parents = (await work.repository.details(head.commit)).parents
    if len(parents) != 1:
        return None
    before = await state(work.repository, parents[0], work.place)
    return head.commit if before.files == standing.base.files else None


async def others_commits(work: Work, standing: Standing, provenance: Provenance) -> list[Commit]:
    """What would be lost if the proposed branch were made anew: commits of others, and ours that others amended."""
    head, repository, place = standing.head, work.repository, work.place
    if head is None or head.commit == standing.base.commit:
        return []
    tip = await repository.details(head.commit)
    if _is_ours(tip, provenance):
        return [] if await _is_as_we_made_it(work, tip) else [tip]
    beside = await repository.beside(place.head, head.commit, place.base, standing.base.commit)
    return [commit for commit in beside if not _is_ours(commit, provenance)]


async def refuse_to_overwrite_others(work: Work, standing: Standing, provenance: Provenance) -> None:
    """Raise LoopError where others have work on the proposed branch that no pull request has brought in."""
    others = await others_commits(work, standing, provenance)
    if not others or await _was_merged(work, standing):
        return
    branch = work.place.head
    lines = [f"{commit.id[:12]} {commit.author}: {commit.subject}" for commit in others[:SHOWN]]
    if len(others) > SHOWN:
        lines.append(f"and {len(others) - SHOWN} more")
    raise LoopError(
        f"branch {branch} has commits of others, which a promotion would overwrite",
        detail="\n".join(lines),
        hint="take their changes over into the templates; then merge or close the pull request and delete the branch:"
        f" git push {work.repository.address} --delete {branch}",
    )


async def withdraw(work: Work, standing: Standing, provenance: Provenance, reason: str) -> None:
    """Take back a proposal that is not wanted any more; where others worked on it, a Notice tells instead."""
    head, place = standing.head, work.place
    if head is None or head.files == standing.base.files:
        return
    pull = await work.forge.find(place.head, place.base)
    if pull is not None and pull.state != "open":
        return
    shown = pull.url if pull else f"branch {place.head}"
    if await others_commits(work, standing, provenance):
        message = f"{shown} proposes something else, and others worked on it: it stays"
        work.emit(Notice(level="warning", message=message, hint="close it, or merge it if it is right"))
        return
    if pull:
        await work.forge.close(pull.number, reason)
    # GitOps Promoter wants the branch to be there
    left = standing.base.commit if work.gitops.layout == "branch" else None
    await work.repository.push(place.head, left, head.commit)
    work.emit(Notice(level="info", message=f"{shown} was taken back", detail=reason))


async def _was_merged(work: Work, standing: Standing) -> bool:
    pull = await work.forge.find(work.place.head, work.place.base)
    assert standing.head is not None
    return pull is not None and pull.state == "merged" and pull.head_commit == standing.head.commit


def _is_ours(commit: Commit, provenance: Provenance) -> bool:
    return marks.is_ours(commit.message, provenance.project, provenance.environment)


async def _is_as_we_made_it(work: Work, tip: Commit) -> bool:
    if len(tip.parents) != 1:
        return False
    return not marks.is_amended(tip.message, await work.repository.changed(tip.parents[0], tip.id))
