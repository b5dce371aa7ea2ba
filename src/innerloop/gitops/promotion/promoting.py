"""``loop promote`` and ``loop rollback`` from the project's file to the pull request."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from innerloop import plugins as plugin_files
from innerloop import processes
from innerloop.errors import LoopError
from innerloop.events import Emit, Promoted, reported
from innerloop.gitops.differences.comparing import Comparison, place_of, settings
from innerloop.gitops.differences.markdown import counted
from innerloop.gitops.environments.rendering import Rendered, render_environment
from innerloop.gitops.environments.running_images import with_images
from innerloop.gitops.environments.source_checkout import checked_out
from innerloop.gitops.forges.choosing import forge_of
from innerloop.gitops.gates.checking import check
from innerloop.gitops.gates.findings import Finding
from innerloop.gitops.places.contents import files_of, provenance_of
from innerloop.gitops.places.standing import look
from innerloop.gitops.progress.source_history import History
from innerloop.gitops.promotion import planning, promotion, rollbacks, wording
from innerloop.gitops.promotion.planning import Allowed, Wanted
from innerloop.gitops.promotion.promotion import Outcome
from innerloop.gitops.promotion.work import Work
from innerloop.gitops.provenance import Provenance
from innerloop.gitops.repository.repository import Author, Repository, opened
from innerloop.hooks import hooks_alone
from innerloop.project import Project

Load = Callable[[str, Path | None], Project]
"""The project as it is in an environment, by its own file or by another copy of that."""

NOBODY = Author("innerloop", "innerloop@localhost")
"""Who commits where git does not know: a pipeline."""
_IDENT = re.compile(r"(?P<name>.*) <(?P<email>.*)> \d+ [+-]\d+")


async def promote(load: Load, environment: str, source: str, allowed: Allowed, emit: Emit) -> Outcome:
    """Open or update the pull request that brings an environment up to date. ``source`` is the environment of which
    what runs there is promoted; empty: the project as it is here.

    Raises LoopError, of which WouldBeEmpty is one that the user may allow.
    """
    project = load(environment, None)
    gitops = settings(project)
    hooks = hooks_alone(project, plugin_files.load(project), emit)
    if hooks.has("before-promote"):
        await hooks.run("before-promote")
        # it may have written what is promoted
        project = load(environment, None)
    async with opened(gitops.repository, emit, gitops.forge) as repository:
        wanted = await _wanted(load, project, source, repository, emit)
        async with _working(project, repository, emit) as work:
            outcome = await promotion.propose(work, wanted, allowed)
    _tell(project, work, outcome)
    await hooks.run("after-promote")
    return outcome


async def preview(load: Load, environment: str, source: str, allowed: Allowed, emit: Emit) -> Comparison:
    """What ``promote`` would change; nothing is pushed, and of the hooks only those of rendering run.

    Raises LoopError for what would stop it.
    """
    project = load(environment, None)
    gitops, place = settings(project), place_of(project)
    async with opened(gitops.repository, emit, gitops.forge) as repository:
        wanted = await _wanted(load, project, source, repository, emit)
        standing = await look(repository, place, gitops)
        plan = planning.plan(standing.base, wanted, place, allowed)
        if plan:
            promotion.refuse_to_empty(standing, plan, wanted, place, allowed)
    against = f"branch {place.base} of {repository.address} at {standing.base.commit[: wording.SHORT]}"
    return Comparison(environment, against, tuple(plan.differences) if plan else ())


async def roll_back(project: Project, to: str, allowed: Allowed, emit: Emit) -> Outcome:
    """Open the pull request by which an environment goes back to what it was before its last change, or to what it was
    by the commit ``to``. Raises LoopError."""
    gitops = settings(project)
    async with opened(gitops.repository, emit, gitops.forge) as repository:
        async with _working(project, repository, emit) as work:
            standing = await look(repository, work.place, gitops)
            found = await rollbacks.past(repository, work.place, standing, to)
            wanted = rollbacks.going_back(standing.base, found)
            outcome = await promotion.propose(work, wanted, allowed)
    _tell(project, work, outcome)
    return outcome


@asynccontextmanager
async def _working(project: Project, repository: Repository, emit: Emit) -> AsyncIterator[Work]:
    gitops = settings(project)
    async with forge_of(gitops.repository, gitops.forge) as forge:
        author = await author_of(project.folder)
        yield Work(repository, forge, place_of(project), gitops, author, emit, History(project.folder))


async def _wanted(load: Load, project: Project, source: str, repository: Repository, emit: Emit) -> Wanted:
    """What is rendered, after its gates."""
    place = place_of(project)
    if source:
        rendered, found = await _rendered_from(load, project, source, repository, emit)
    else:
        rendered, found = await _rendered(project, emit)
    files = files_of(rendered, place)
    provenance = provenance_of(rendered.provenance, files, place)
    return Wanted(
        files=files,
        provenance=provenance,
        title=wording.promotion_title(provenance),
        introduction=f"This is what runs in {wording.code(source)}." if source else "",
        notes=wording.exemptions(found),
    )


async def _rendered(
    project: Project, emit: Emit, images: dict[str, str] | None = None
) -> tuple[Rendered, list[Finding]]:
    name = project.environment
    with reported(emit, f"render/{name}", f"render {name}") as outcome:
        rendered = await render_environment(project, emit=emit)
        if images is not None:
            rendered = with_images(rendered, images)
        count = len(rendered.manifests)
        outcome.summary = "1 object" if count == 1 else f"{count} objects"
    with reported(emit, f"check/{name}", f"check {name}") as outcome:
        found = await check(rendered, project, emit=emit)
        stopping = [one for one in found if not one.allowed]
        if stopping:
            raise planning.refusal(stopping)
        outcome.summary = f"{len(found)} let through" if found else ""
    return rendered, found


async def _rendered_from(
    load: Load, project: Project, source: str, repository: Repository, emit: Emit
) -> tuple[Rendered, list[Finding]]:
    """An environment by what runs in another: the templates and values of that commit, and its images."""
    running = await running_in(load(source, None), repository)
    name = project.environment or ""
    async with checked_out(project.file, running.source, emit) as file:
        try:
            there = load(name, file)
        except LoopError as error:
            error.hint = (
                error.hint or f"so it is in commit {running.source.commit[: wording.SHORT]}, which {source} runs"
            )
            raise
        return await _rendered(there, emit, running.images)


async def running_in(project: Project, repository: Repository) -> Provenance:
    """What the environment's branch has. Raises LoopError where a promotion of it cannot be repeated."""
    standing = await look(repository, place_of(project), settings(project))
    found, name = standing.base.provenance, project.environment
    if found is None:
        raise LoopError(
            f"nothing of {project.name} runs in {name}: the GitOps repository has nothing of it",
            hint=f"promote to it first: loop promote {name}, and merge that",
        )
    if not found.source.commit or not found.source.clean:
        raise LoopError(
            f"what runs in {name} was rendered from files that no commit has",
            hint=f"commit them, and promote to {name} again",
        )
    return found


async def author_of(folder: Path) -> Author:
    """Whose commits git takes those for that are made in a folder."""
    told = await processes.run(["git", "-C", str(folder), "var", "GIT_AUTHOR_IDENT"], env={"LC_ALL": "C"}, check=False)
    match = _IDENT.fullmatch(told.text.strip())
    return Author(match["name"], match["email"]) if not told.code and match else NOBODY


def _tell(project: Project, work: Work, outcome: Outcome) -> None:
    pull = outcome.pull
    work.emit(
        Promoted(
            project=project.name,
            environment=project.environment or "",
            state=outcome.state,
            base=work.place.base,
            branch=work.place.head,
            commit=outcome.commit,
            number=pull.number if pull else 0,
            url=(pull.url if pull else "") or _address_in(outcome.said),
            changes=counted(outcome.differences),
        )
    )


def _address_in(said: str) -> str:
    """The first page that the server names in its answer to a push."""
    match = re.search(r"https?://\S+", said)
    return match[0] if match else ""
