"""The whole way of a change, offline: the inner loop, then pull requests from environment to environment, and back.

Runs the real commands on a copy of ``examples/vote``: ``loop dev`` with an edit, ``loop build --push --lock``, ``loop
promote dev``, a squash merge, ``loop promote --from dev stage``, a merge, the same again with a change that nobody
likes, and ``loop rollback stage``. Cluster and registry are the built-in ones; Argo CD's own controllers apply what is
merged. Ends with exit code 0 when all of it worked. ``make demo-gitops`` calls it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import agent
import make_gitops
from demo import DEPLOY_SECONDS, EDIT_SECONDS, LOOP, Failed, developing, fetch, loop, part, wait_until, working_copy

from innerloop import cluster

CLUSTER = "innerloop"
NAMESPACE = "innerloop-demo"
MANIFESTS = f"{make_gitops.CLUSTER}/manifests"
APPLIED_SECONDS = 120
ENVIRONMENTS = ("dev", "stage")
EXEMPTION = """\
  allow:
    - {gate: local-value, object: "*", reason: "here, environments are namespaces of the one cluster on this machine"}
"""


class Place(NamedTuple):
    """Where an environment is in the GitOps repository."""

    base: str
    """Branch that is merged to, and applied."""
    head: str
    """Branch of the pull request."""
    path: str


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    layouts = ["cluster", "folder", "branch"]
    arguments.add_argument("--layout", choices=layouts, default="cluster", help="of the GitOps repository")
    layout = arguments.parse_args().layout
    started = time.monotonic()
    try:
        demonstrate(layout)
    except (Failed, agent.Missing) as failure:
        print(f"\ndemo failed: {failure}", file=sys.stderr)
        return 1
    print(f"\nall of it took {time.monotonic() - started:.1f} s")
    return 0


def demonstrate(layout: str) -> None:
    team = Team.begin(layout)
    with part("cluster"):
        loop("cluster", "up", CLUSTER, "--install", cwd=team.project)
    loop("use", "context", CLUSTER, cwd=team.project)
    loop("use", "namespace", NAMESPACE, cwd=team.project)
    team.use_registry(registry())
    inner_loop(team)
    with contextlib.ExitStack() as stack:
        stack.callback(loop, "purge", cwd=team.project)
        with part("Argo CD follows the GitOps repository"):
            agents = stack.enter_context(following_environments(team))
        outer_loop(team, agents)


def inner_loop(team: Team) -> None:
    """What a developer does before there is anything to promote."""
    page = team.project / "web/templates/index.html"
    with developing(team.project) as session:
        with part("loop dev, until ready to edit"):
            session.wait_for("ready", DEPLOY_SECONDS)
        with part("an edit is seen without a rebuild"):
            page.write_text(page.read_text().replace("</body>", "<p>Thank you!</p></body>"))
            wait_until(lambda: "Thank you!" in fetch(), EDIT_SECONDS, "the edited page")
    team.commit("Thank the voters")


def outer_loop(team: Team, agents: agent.Agent) -> None:
    first = team.build()
    with part("dev: a pull request, merged by squashing, applied"):
        loop("promote", "dev", cwd=team.project)
        team.merge("dev", squash=True)
        team.await_commit("dev", first, agents)
        expect(served("dev"), "Thank you!", "Cats or dogs? (dev)")
    with part("stage: what dev runs, merged, applied"):
        loop("promote", "--from", "dev", "stage", cwd=team.project)
        team.merge("stage", squash=False)
        team.await_commit("stage", first, agents)
        expect(served("stage"), "Thank you!", "Cats or dogs? (stage)")
    with part("the same again is no pull request"):
        loop("promote", "--from", "dev", "stage", cwd=team.project)
        if team.is_proposed("stage"):
            raise Failed("a pull request was opened that changes nothing")
    page = team.project / "web/templates/index.html"
    page.write_text(page.read_text().replace("Thank you!", "You are welcome to vote twice."))
    team.commit("Be nicer to voters")
    second = team.build()
    with part("a second change, to dev and stage"):
        loop("diff", "--env", "dev", cwd=team.project)
        loop("promote", "dev", cwd=team.project)
        team.merge("dev", squash=True)
        team.await_commit("dev", second, agents)
        loop("promote", "--from", "dev", "stage", cwd=team.project)
        team.merge("stage", squash=True)
        team.await_commit("stage", second, agents)
        expect(served("stage"), "vote twice")
    with part("stage is taken back"):
        loop("rollback", "stage", cwd=team.project)
        team.merge("stage", squash=True)
        team.await_commit("stage", first, agents)
        expect(served("stage"), "Thank you!")
    with part("what was taken back does not come again by accident"):
        if refused("promote", "--from", "dev", "stage", cwd=team.project) != 1:
            raise Failed("what was rolled back was proposed again without a word")


class Team:
    """The project's repository, the GitOps repository beside it, and a clone of that in which people merge."""

    def __init__(self, folder: Path, layout: str) -> None:
        self.folder = folder
        self.layout = layout
        self.project = folder / "vote"
        self.gitops = folder / "vote-gitops.git"
        self._clone = folder / "merging"

    @classmethod
    def begin(cls, layout: str) -> Team:
        """All anew, always in the same place: a project is known by its folder."""
        project = working_copy()
        team = cls(project.parent, layout)
        for old in (team.gitops, team._clone):
            shutil.rmtree(old, ignore_errors=True)
        make_gitops.make(team.gitops)
        make_gitops.git(team.folder, "clone", "--quiet", str(team.gitops), str(team._clone))
        (project / ".gitignore").write_text(".env\n.loop/\n")
        make_gitops.git(project, "init", "--quiet", "--initial-branch=main")
        return team

    def use_registry(self, host: str) -> None:
        """What a project says once, when it has a registry: where its images are, in each environment's file."""
        for file in sorted((self.project / "env").glob("*.env")):
            text = file.read_text().replace("registry.example.com", host)
            file.write_text(f"{text}BACKEND_REPO={host}/library/redis\n")
        file = self.project / "loop.yaml"
        file.write_text(file.read_text().replace("layout: cluster", f"layout: {self.layout}") + EXEMPTION)
        self.commit("Say where images are")

    def commit(self, message: str) -> str:
        make_gitops.git(self.project, "add", "--all")
        return make_gitops.commit(self.project, message)

    def build(self) -> str:
        """Build, push and lock what is committed; returns the commit with the lock."""
        with part("build, push to the registry, lock by digest"):
            loop("build", "--push", "--lock", cwd=self.project)
        return self.commit("Lock the images")

    def place(self, environment: str) -> Place:
        """As docs/promoting.md has it."""
        if self.layout == "branch":
            return Place(f"environments/{environment}", f"environments/{environment}-next/vote", "vote")
        head = f"loop/{environment}/vote"
        if self.layout == "folder":
            return Place("main", head, f"{environment}/vote")
        return Place("main", head, f"{MANIFESTS}/{make_gitops.NAMESPACES[environment]}/vote")

    def is_proposed(self, environment: str) -> bool:
        """Whether a pull request is open: here, whether its branch is ahead."""
        place = self.place(environment)
        make_gitops.git(self._clone, "fetch", "--quiet", "--prune")
        branches = make_gitops.git(self._clone, "branch", "--remotes", "--no-merged", f"origin/{place.base}").split()
        return f"origin/{place.head}" in branches

    def merge(self, environment: str, *, squash: bool) -> None:
        """What a reviewer does on a forge, with words of their own; the branch is deleted."""
        clone, place = self._clone, self.place(environment)
        print(f"$ git merge {'--squash ' if squash else ''}origin/{place.head}", flush=True)
        make_gitops.git(clone, "fetch", "--quiet", "--prune")
        make_gitops.git(clone, "checkout", "--quiet", "--detach", f"origin/{place.base}")
        options = ["--squash"] if squash else ["--no-ff", "--no-commit"]
        make_gitops.git(clone, "merge", "--quiet", *options, f"origin/{place.head}")
        make_gitops.commit(clone, f"Looks good ({environment})")
        make_gitops.git(clone, "push", "--quiet", "origin", f"HEAD:refs/heads/{place.base}", f":{place.head}")

    def await_commit(self, environment: str, commit: str, agents: agent.Agent) -> None:
        """Until the environment runs a commit and is well, as ``loop status --env`` tells."""
        agents.refresh(f"vote-{environment}")
        asked = ("status", "--env", environment, "--commit", commit, "-o", "json")

        def is_there() -> bool:
            done = subprocess.run([LOOP, *asked], cwd=self.project, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            return done.returncode == 0 and json.loads(done.stdout)["state"] == "healthy"

        wait_until(is_there, APPLIED_SECONDS, f"{commit[:12]} in {environment}")
        loop("status", "--env", environment, "--commit", commit, cwd=self.project)


@contextlib.contextmanager
def following_environments(team: Team) -> Iterator[agent.Agent]:
    """An agent that keeps the namespaces as the GitOps repository says; all of it is gone at the end."""
    names = make_gitops.NAMESPACES
    with contextlib.ExitStack() as stack:
        # when nobody puts them back any more
        stack.callback(agent.run, [*kubectl(), "delete", "namespace", "--ignore-not-found", *names.values()])
        running = stack.enter_context(agent.running(kubectl(), kubeconfig(), team.folder / "argocd"))
        address = f"file://{team.gitops}"
        running.follow("namespaces", (address, "main", MANIFESTS), "default")
        for name in ENVIRONMENTS:
            place = team.place(name)
            running.follow(f"vote-{name}", (address, place.base, place.path), names[name])
        yield running


def served(environment: str) -> str:
    """The page that an environment's front end shows, by way of the API server."""
    namespace = make_gitops.NAMESPACES[environment]
    return agent.run([*kubectl(), "get", "--raw", f"/api/v1/namespaces/{namespace}/services/vote-front:80/proxy/"])


def expect(page: str, *texts: str) -> None:
    for text in texts:
        if text not in page:
            raise Failed(f"the page does not say {text!r}:\n{page}")
        print(f"   the page says: {text}")


def refused(*arguments: str, cwd: Path) -> int:
    print(f"$ loop {' '.join(arguments)}", flush=True)
    return subprocess.call([LOOP, *arguments], cwd=cwd)


def registry() -> str:
    """``host:port`` of the cluster's registry, as images are named for it."""
    found = json.loads(agent.run([str(LOOP), "cluster", "status", CLUSTER, "-o", "json"]))
    return str(found["registry"])


def kubeconfig() -> Path:
    return Path(json.loads(agent.run([str(LOOP), "cluster", "status", CLUSTER, "-o", "json"]))["kubeconfig"])


def kubectl() -> list[str]:
    found = shutil.which("kubectl")
    programs = cluster.programs()
    if found is None and programs is not None:
        found = str(programs / "kubectl")
    if found is None:
        raise Failed("kubectl is needed, and is not on PATH")
    return [found, "--kubeconfig", str(kubeconfig())]


if __name__ == "__main__":
    sys.exit(main())
