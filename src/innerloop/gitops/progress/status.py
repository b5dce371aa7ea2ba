"""How far a source commit has come on its way to an environment.

The joins are the file of provenance in the GitOps repository, which names the source commit that was rendered, and the
ancestor test in the project's own clone. So squashed and rebased merges are told right, and so are commits that were
overtaken before an agent saw them; no commit message counts.
"""

from __future__ import annotations

from typing import NamedTuple

from innerloop.errors import Location
from innerloop.gitops import provenance
from innerloop.gitops.agents import applied
from innerloop.gitops.agents.following import Followed, followed
from innerloop.gitops.agents.verdicts import Follower, Sight
from innerloop.gitops.differences.comparing import place_of, settings
from innerloop.gitops.differences.manifest_files import manifests_of
from innerloop.gitops.forges.errors import ForgeError
from innerloop.gitops.forges.forge import Forge, PullRequest
from innerloop.gitops.progress.health import health
from innerloop.gitops.progress.progress import Progress, State, short
from innerloop.gitops.progress.source_history import History
from innerloop.gitops.provenance import Provenance
from innerloop.gitops.repository.repository import Repository
from innerloop.kube.client import Client
from innerloop.kube.errors import ApiError, KubeError
from innerloop.project import Project

_WORST_FIRST: tuple[State, ...] = ("failed", "merged", "applied", "healthy")


class Sources(NamedTuple):
    """Whom to ask."""

    repository: Repository
    history: History
    forge: Forge | None
    """None where it cannot be asked."""
    client: Client | None
    """Of the environment's cluster; None where there is none to be asked."""
    hidden: tuple[str, ...] = ()
    """Why forge or cluster cannot be asked, for people."""


class _Promoted(NamedTuple):
    """What the environment's branch has."""

    tip: str
    source: str
    """The source commit."""
    commit: str
    """The commit of the branch by which it came."""


class _Verdict(NamedTuple):
    state: State
    message: str = ""
    settled: bool = False


class Inquiry:
    """Asks about one source commit and the environment that ``project`` was loaded for, as often as it takes."""

    def __init__(self, project: Project, commit: str, sources: Sources) -> None:
        self._project = project
        self._commit = commit
        self._sources = sources
        self._place = place_of(project)
        self._environment = project.environment or ""
        self._pulls: dict[str, str] = {}
        """URLs by commit of the GitOps repository."""

    async def look(self) -> Progress:
        """The present state. Raises LoopError; what cannot be asked besides the GitOps repository is told in it."""
        place, repository = self._place, self._sources.repository
        seen = await repository.branches(place.base, place.head)
        self._hidden = list(self._sources.hidden)
        base = seen.get(place.base)
        there = await self._provenance(base) if base else None
        source = there.source.commit if there else ""
        relation = await self._sources.history.relation(self._commit, source) if source else "unknown"
        if base is None or there is None or relation not in ("same", "before"):
            return await self._not_there(there, base, seen.get(place.head))
        if anew := await self._proposed_anew(there, seen.get(place.head)):
            return anew
        [promotion] = await repository.changes(place.base, base, [place.metadata], 1)
        promoted = _Promoted(base, source, promotion.id)
        verdict, followers = await self._applied(promoted)
        if relation == "same" and not there.source.clean:
            words = "; ".join(filter(None, ["with changes that no commit has", verdict.message]))
            verdict = verdict._replace(message=words)
        if relation == "before":
            words = f"{self._environment} has {short(source)}, which contains it and is {verdict.state}"
            verdict = _Verdict("overtaken", f"{words}: {verdict.message}" if verdict.message else words, True)
        url = await self._pull_of(promoted.commit)
        return self._progress(verdict, there, promoted.commit, url, followers)

    def _progress(
        self,
        verdict: _Verdict,
        there: Provenance | None,
        commit: str = "",
        url: str = "",
        followers: tuple[Follower, ...] = (),
    ) -> Progress:
        return Progress(
            project=self._project.name,
            environment=self._environment,
            commit=self._commit,
            state=verdict.state,
            message=verdict.message,
            settled=verdict.settled,
            promoted=there.source.commit if there else "",
            gitops_commit=commit,
            pull_request=url,
            followers=followers,
            hidden=tuple(self._hidden),
        )

    async def _provenance(self, commit: str) -> Provenance | None:
        path = self._place.metadata
        files = await self._sources.repository.read(commit, [path])
        if path not in files:
            return None
        return provenance.decode(files[path], Location(f"{short(commit)}:{path}"))

    async def _not_there(self, there: Provenance | None, base: str | None, head: str | None) -> Progress:
        """Of a commit that the environment's branch does not have."""
        proposed = await self._provenance(head) if head else None
        if proposed and await self._contains(proposed.source.commit):
            verdict, url = await self._proposed(proposed.source.commit, base)
            return self._progress(verdict, there, url=url)
        if there is None:
            return self._progress(_Verdict("not promoted", f"{self._environment} has nothing of it yet", True), None)
        has = short(there.source.commit) or "a state without a commit"
        if there.rolled_back and await self._contains(there.rolled_back):
            words = f"{self._environment} was rolled back from {short(there.rolled_back)} to {has}"
            return self._progress(_Verdict("overtaken", words, True), there)
        words = f"{self._environment} has {has}"
        if there.source.commit and await self._relation(there.source.commit) == "unknown":
            words += ", which the clone does not know, or not all of its history: git fetch"
        return self._progress(_Verdict("not promoted", words, True), there)

    async def _proposed_anew(self, there: Provenance, head: str | None) -> Progress | None:
        """Of a commit that the branch has and that is proposed once more, with other values or images."""
        proposed = await self._provenance(head) if head else None
        if proposed is None or proposed.source.commit != self._commit or proposed.files == there.files:
            return None
        pull = await self._pull()
        if pull is None:
            return self._progress(_Verdict("in pull request", f"as branch {self._place.head}"), there)
        if pull.state != "open":
            return None
        return self._progress(_Verdict("in pull request", pull.url), there, url=pull.url)

    async def _proposed(self, source: str, base: str | None) -> tuple[_Verdict, str]:
        """Of a commit that the proposed branch has: the state of its pull request, and the URL."""
        newer = "" if source == self._commit else f"as part of {short(source)}, "
        pull = await self._pull()
        if pull is None:
            return _Verdict("in pull request", f"{newer}as branch {self._place.head}"), ""
        match pull.state:
            case "open":
                return _Verdict("in pull request", f"{newer}{pull.url}"), pull.url
            case "closed":
                return _Verdict("not promoted", f"its pull request was closed: {pull.url}", True), pull.url
        merged = pull.merge_commit
        if base and merged and await self._sources.repository.contains(self._place.base, base, merged):
            words = f"its pull request was merged, and {self._environment} has something else since: {pull.url}"
            return _Verdict("overtaken", words, True), pull.url
        # since the branch was read
        return _Verdict("merged", f"just now: {pull.url}"), pull.url

    async def _applied(self, promoted: _Promoted) -> tuple[_Verdict, tuple[Follower, ...]]:
        """What the agents did with what the branch has: the worst that one of them tells."""
        client = self._sources.client
        if client is None:
            return _Verdict("merged", "no cluster tells whether it is applied"), ()
        try:
            sight = await applied.look(client, self._followed())
            verdicts = [await self._judged(one, promoted, client) for one in sight.followers]
        except KubeError as error:
            self._hidden.append(f"the cluster does not tell: {error.message}")
            return _Verdict("merged", "whether it is applied is not known"), ()
        self._hidden += sight.hidden
        if not verdicts:
            return _Verdict("merged", _nobody(sight)), ()
        return min(verdicts, key=lambda one: _WORST_FIRST.index(one.state)), sight.followers

    def _followed(self) -> Followed:
        gitops = settings(self._project)
        return followed(self._place, gitops.repository, gitops.branch, self._project.namespace)

    async def _judged(self, one: Follower, promoted: _Promoted, client: Client) -> _Verdict:
        """What a follower tells of the source commit that the branch has."""
        if one.verdict == "failed" and await self._reached(one.attempted, promoted):
            blamed = f"{one.object}: " if one.object and one.object not in one.message else ""
            return _Verdict("failed", f"{one.name}: {blamed}{one.message}", True)
        if await self._reached(one.applied, promoted):
            # right after a sync, Argo CD still tells of the health of what was there before
            if one.verdict == "healthy" and (one.agent != "Argo CD" or one.elsewhere):
                return _Verdict("healthy", settled=True)
            return await self._looked_at(one, client)
        if one.held:
            return _Verdict("merged", f"{one.name} {one.held}")
        if await self._reached(one.attempted, promoted):
            return _Verdict("merged", f"{one.name} applies it" + (f": {one.message}" if one.message else ""))
        return _Verdict("merged", f"{one.name} has not applied it yet")

    async def _reached(self, commit: str, promoted: _Promoted) -> bool:
        """Whether a commit of the GitOps repository has the promoted source commit, or a newer one."""
        if commit in (promoted.tip, promoted.commit):
            return True
        place, repository = self._place, self._sources.repository
        if not commit or not await repository.contains(place.base, promoted.tip, commit):
            return False
        had = await self._provenance(commit)
        if had is None or not had.source.commit:
            return False
        relation = await self._sources.history.relation(promoted.source, had.source.commit)
        return relation in ("same", "before")

    async def _looked_at(self, one: Follower, client: Client) -> _Verdict:
        """Of an agent that has applied it: what the objects themselves say, as far as we may look."""
        if one.elsewhere:
            words = f"{one.name} applies to another cluster and does not tell of its health"
            return _Verdict("applied", one.message or words, settled=one.verdict == "applied")
        files = await self._sources.repository.read(one.applied, [self._place.manifests])
        try:
            found = await health(client, [manifest.key for manifest in manifests_of(files)])
        except ApiError as error:
            self._hidden.append(f"the objects' health: {error.message}")
            if one.verdict == "healthy":
                return _Verdict("healthy", settled=True)
            return _Verdict("applied", one.message, settled=one.verdict == "applied")
        words = f"{found.object}: {found.message}" if found.object else ""
        match found.state:
            case "ready" if one.verdict in ("applied", "healthy"):
                return _Verdict("healthy", settled=True)
            case "failed":
                return _Verdict("failed", words, True)
            case _:
                return _Verdict("applied", words or f"{one.name}: {one.message}")

    async def _contains(self, newer: str) -> bool:
        return await self._relation(newer) in ("same", "before") if newer else False

    async def _relation(self, other: str) -> str:
        return await self._sources.history.relation(self._commit, other)

    async def _pull(self) -> PullRequest | None:
        if self._sources.forge is None:
            return None
        try:
            return await self._sources.forge.find(self._place.head, self._place.base)
        except ForgeError as error:
            self._hidden.append(f"the pull request: {error.message}")
            return None

    async def _pull_of(self, commit: str) -> str:
        """URL of the pull request by which a commit came to the branch."""
        if self._sources.forge is not None and commit not in self._pulls:
            try:
                pull = await self._sources.forge.of_commit(commit)
            except ForgeError as error:
                self._hidden.append(f"the pull request: {error.message}")
                return ""
            self._pulls[commit] = pull.url if pull else ""
        return self._pulls.get(commit, "")


def _nobody(sight: Sight) -> str:
    if sight.agents:
        return f"nothing of {' or '.join(sight.agents)} in this cluster follows it; is it the environment's cluster?"
    return "this cluster has neither Flux nor Argo CD; is it the environment's cluster?"
