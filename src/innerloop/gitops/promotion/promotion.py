"""From what an environment is to be to one pull request: idempotent, and safe to run twice at once.

Each attempt looks at the repository anew, decides on what it sees, and pushes with a lease on the branch that it
proposes. Whoever is second finds out by that, and begins again.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from innerloop.errors import LoopError
from innerloop.events import Notice, reported
from innerloop.gitops.differences.differences import Difference
from innerloop.gitops.differences.markdown import counted
from innerloop.gitops.forges.errors import ForgeError
from innerloop.gitops.forges.forge import Proposal, PullRequest
from innerloop.gitops.places.layouts import Place
from innerloop.gitops.places.standing import Standing, State, look
from innerloop.gitops.promotion import newer, planning, proposals, rollbacks, wording
from innerloop.gitops.promotion.newer import Newer
from innerloop.gitops.promotion.planning import Allowed, Plan, Wanted
from innerloop.gitops.promotion.work import Work
from innerloop.gitops.repository.git import MovedOn, ProtectedBranch, PushRefused

ATTEMPTS = 5
"""How often we begin before somebody else's pushing is told as an error."""


class Outcome(NamedTuple):
    """What came of a promotion."""

    state: Literal["unchanged", "proposed", "already proposed"]
    """``unchanged``: the base branch has it. ``already proposed``: nothing had to be pushed."""
    commit: str
    """What is proposed; the base branch's where nothing is."""
    pull: PullRequest | None
    differences: tuple[Difference, ...]
    source: str = ""
    """The source commit that this is: of what is there already, the one by which it came."""
    said: str = ""
    """What the server said to the push: of a host that we know nothing about, the page for a pull request."""


class WouldBeEmpty(LoopError):
    """No object would be left of an environment that has some."""


async def propose(work: Work, wanted: Wanted, allowed: Allowed) -> Outcome:
    """Have one pull request that makes the environment what is wanted, or none where it is so already.

    Raises WouldBeEmpty, and LoopError for all else that stands against it.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await _attempted(work, wanted, allowed)
        except MovedOn as moved:
            if attempt == ATTEMPTS:
                raise
            work.emit(Notice(level="info", message=f"{moved.message}: starting over"))
    raise AssertionError("the last attempt raises")


def refuse_to_empty(standing: Standing, plan: Plan, wanted: Wanted, place: Place, allowed: Allowed) -> None:
    """Raise WouldBeEmpty, unless the user has consented."""
    if allowed.empty or not planning.removes_everything(standing.base, wanted, place, allowed):
        return
    raise WouldBeEmpty(
        f"nothing is rendered for {wanted.provenance.environment}: the promotion would remove all of its objects",
        detail=counted(plan.differences),
        hint="see what `loop render --env` gives; --allow-empty if it is meant",
    )


async def _attempted(work: Work, wanted: Wanted, allowed: Allowed) -> Outcome:
    with reported(work.emit, f"read/{work.place.base}", f"read {work.place.base} of the GitOps repository") as outcome:
        standing = await look(work.repository, work.place, work.gitops)
        outcome.summary = standing.base.commit[: wording.SHORT]
    before = await rollbacks.rolled_back(work, standing)
    wanted = rollbacks.minded(wanted, before, allowed, work.emit)
    ahead = await newer.there(work, standing, wanted)
    plan = planning.plan(standing.base, wanted, work.place, allowed)
    if plan is None:
        return await _unchanged(work, standing, wanted, ahead)
    wanted = newer.minded(wanted, ahead, work.emit)
    refuse_to_empty(standing, plan, wanted, work.place, allowed)
    proposed = await proposals.same_already(work, standing, wanted, plan)
    said = ""
    if proposed is None:
        proposed, said = await _pushed(work, standing, wanted, plan)
        state: Literal["proposed", "already proposed"] = "proposed"
    else:
        state = "already proposed"
    pull = await _pull_request(work, wanted, plan)
    await _noted(work, proposed, wanted)
    source = wanted.provenance.source.commit if state == "proposed" else _source_of(standing.head)
    return Outcome(state, proposed, pull, tuple(plan.differences), source, said)


async def _pushed(work: Work, standing: Standing, wanted: Wanted, plan: Plan) -> tuple[str, str]:
    """The commit, now on the proposed branch, and what the server said to it."""
    repository, place = work.repository, work.place
    await proposals.refuse_to_overwrite_others(work, standing, wanted.provenance)
    with reported(work.emit, f"push/{place.head}", f"push {place.head}") as outcome:
        if standing.branch_is_new:
            await _base_made(work, standing)
        message = wording.commit_message(wanted, plan, standing.base.commit)
        commit = await repository.commit(standing.base.commit, plan.removed, plan.written, message, work.author)
        # what is proposed belongs on the newest state; the lease only guards the branch that is proposed
        if await repository.branch(place.base) != standing.base.commit:
            raise MovedOn(f"branch {place.base} of {repository.address} was changed meanwhile", hint="try once more")
        said = await repository.push(place.head, commit, standing.head.commit if standing.head else None)
        outcome.summary = commit[: wording.SHORT]
    return commit, said


async def _base_made(work: Work, standing: Standing) -> None:
    base, start = work.place.base, work.gitops.branch
    try:
        await work.repository.push(base, standing.base.commit, None)
    except (ProtectedBranch, PushRefused) as error:
        error.hint = f"have someone make it who may: git push {work.repository.address} {start}:{base}"
        raise
    work.emit(Notice(level="info", message=f"branch {base} is new, made of {start}"))


async def _unchanged(work: Work, standing: Standing, wanted: Wanted, ahead: Newer | None) -> Outcome:
    """Nothing is to be proposed; what was proposed before is not wanted any more."""
    if ahead:
        work.emit(Notice(level="info", message=f"{ahead.words}: that stays"))
    else:
        reason = f"{wanted.title}: {work.place.base} has it already."
        await proposals.withdraw(work, standing, wanted.provenance, reason)
        head = standing.head
        same = head is not None and head.files == standing.base.files
        await _noted(work, head.commit if head and same else standing.base.commit, wanted)
    return Outcome("unchanged", standing.base.commit, None, (), _source_of(standing.base))


def _source_of(state: State | None) -> str:
    return state.provenance.source.commit if state and state.provenance else ""


async def _noted(work: Work, commit: str, wanted: Wanted) -> None:
    """In the layout of GitOps Promoter a note tells the newest source commit that a commit is right for."""
    source = wanted.provenance.source.commit
    if work.gitops.layout != "branch" or not source:
        return
    await work.repository.note(commit, msgspec.json.encode({"drySha": source}).decode(), work.author)


async def _pull_request(work: Work, wanted: Wanted, plan: Plan) -> PullRequest:
    gitops, place = work.gitops, work.place
    body = wording.pull_request_body(wanted, plan, work.forge)
    proposal = Proposal(place.head, place.base, wanted.title, body, gitops.labels, gitops.reviewers)
    try:
        found = await work.forge.find(place.head, place.base)
        if found is None or found.state != "open":
            return await work.forge.create(proposal)
        if (found.title, found.body.split()) == (proposal.title, proposal.body.split()):
            return found
        return await work.forge.update(found.number, proposal)
    except ForgeError as error:
        pushed = f"branch {place.head} is pushed, but its pull request is not made"
        again = "then run it again: it goes on from there"
        hint = f"{error.hint}; {again}" if error.hint else again
        raise LoopError(f"{pushed}: {error.message}", detail=error.detail, hint=hint) from error
