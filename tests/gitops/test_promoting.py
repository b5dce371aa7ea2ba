"""``loop promote`` and ``loop rollback`` as they are called, from a project in its own repository."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from innerloop.cli import main
from innerloop.cli.options import ProjectOptions
from innerloop.cli.promoting import environment_of
from innerloop.events import Event, Promoted
from innerloop.gitops.promotion import promoting
from innerloop.gitops.promotion.planning import Allowed
from innerloop.project import Project
from tests.gitops.forge.github import GitHub
from tests.gitops.forge.repository import Repository
from tests.gitops.forge.server import TOKEN, serving
from tests.gitops.git_http import GitServer
from tests.gitops.remote import Remote, git

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "example.com/web@sha256:%s", env: [{name: TITLE, value: "${TITLE}"}]}
"""
IDENTITY = {f"GIT_{role}_{field}": "dev@example.com" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")}


class Team:
    """A project in a clone, and the GitOps repository that it is promoted to."""

    def __init__(self, folder: Path) -> None:
        self.ops = Remote(folder / "ops.git")
        self.ops.commit({"README.md": "ours\n"})
        self.folder = folder / "vote"
        self.settings = f"  repository: {self.ops.url}\n"
        self.write()
        git(self.folder, "init", "--quiet", "--initial-branch=main")
        self.save("First")

    def write(self, *, title: str = "Cats or dogs", digit: str = "1", more: str = "") -> None:
        self.file("env/stage.env", f"TITLE={title} (stage)\n")
        self.file("env/prod.env", f"TITLE={title}\n")
        self.file("deploy/web.yaml", WEB % (digit * 64))
        environments = "".join(
            f"  {name}: {{variables: env/{name}.env, namespace: vote-{name}}}\n" for name in ("stage", "prod")
        )
        self.file(
            "loop.yaml",
            "name: vote\nvariables: {TITLE: }\nmanifests:\n- files: deploy/*.yaml\n"
            f"environments:\n{environments}gitops:\n{self.settings}{more}",
        )

    def load(self, environment: str, file: Path | None) -> Project:
        return environment_of(ProjectOptions(file=self.folder), environment, file)

    def file(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def save(self, message: str) -> str:
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--message", message, env=IDENTITY)
        return git(self.folder, "rev-parse", "HEAD")

    def merge(self, environment: str) -> str:
        return self.ops.squash(f"loop/{environment}/vote", "main")

    def proposed(self, environment: str) -> str:
        return self.ops.files(f"loop/{environment}/vote")[f"{environment}/vote/deployment-web.yaml"]

    def provenance(self, environment: str, branch: str = "") -> Any:
        files = self.ops.files(branch or f"loop/{environment}/vote")
        return msgspec.json.decode(files[f"{environment}/vote/hydrator.metadata"])


@pytest.fixture
def team(tmp_path: Path, isolated: None, monkeypatch: pytest.MonkeyPatch) -> Team:
    team = Team(tmp_path)
    monkeypatch.chdir(team.folder)
    return team


@pytest.fixture
def loop(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run a command line: its exit code, and what it printed."""

    def loop(*arguments: str) -> tuple[int, str]:
        code = main.run(list(arguments))
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    return loop


Loop = Callable[..., tuple[int, str]]


def test_promote_pushes_the_branch_and_names_it(team: Team, loop: Loop) -> None:
    code, shown = loop("promote", "stage")
    assert code == 0 and "branch loop/stage/vote is pushed: vote in stage, 1 added" in shown
    assert "Cats or dogs (stage)" in team.proposed("stage") and "namespace: vote-stage" in team.proposed("stage")


def test_the_checkout_stays_clean(team: Team, loop: Loop) -> None:
    loop("promote", "stage")
    assert git(team.folder, "status", "--porcelain", "--ignored") == ""


def test_the_same_again_says_that_nothing_changed(team: Team, loop: Loop) -> None:
    loop("promote", "stage")
    code, shown = loop("promote", "stage")
    assert code == 0 and "is there already, unchanged" in shown
    team.merge("stage")
    code, shown = loop("promote", "stage")
    assert code == 0 and "vote in stage is up to date" in shown


def test_json_has_what_came_of_it(team: Team, loop: Loop) -> None:
    _, shown = loop("promote", "stage", "-o", "json")
    [told] = [event for line in shown.splitlines() if (event := json.loads(line))["event"] == "promoted"]
    assert (told["state"], told["branch"], told["base"]) == ("proposed", "loop/stage/vote", "main")
    assert told["commit"] == team.ops.tip("loop/stage/vote")


def test_a_dry_run_shows_the_difference_and_pushes_nothing(team: Team, loop: Loop) -> None:
    code, shown = loop("promote", "stage", "--dry-run")
    assert code == 0 and "+ Deployment/web in vote-stage" in shown
    assert team.ops.branches() == ["main"]


def test_after_a_merge_loop_diff_sees_no_difference(team: Team, loop: Loop) -> None:
    loop("promote", "stage")
    team.merge("stage")
    team.ops.commit({"stage/vote/theirs.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: theirs}\n"})
    code, shown = loop("diff", "--env", "stage", "--exit-code")
    assert code == 0 and "no differences" in shown


def test_hooks_run_before_and_after(team: Team, loop: Loop) -> None:
    team.write(
        more="hooks: {before-promote: 'echo before $LOOP_ENVIRONMENT > log', after-promote: echo after >> log}\n"
    )
    assert loop("promote", "stage")[0] == 0
    assert (team.folder / "log").read_text() == "before stage\nafter\n"


def test_what_a_hook_writes_before_is_promoted(team: Team, loop: Loop) -> None:
    team.write(more="hooks: {before-promote: 'echo TITLE=written > env/stage.env'}\n")
    assert loop("promote", "stage")[0] == 0
    assert "value: written" in team.proposed("stage")


def test_a_hook_that_fails_stops_it(team: Team, loop: Loop) -> None:
    team.write(more="hooks: {before-promote: 'false'}\n")
    code, shown = loop("promote", "stage")
    assert code == 1 and "the before-promote hook ended with status 1" in shown
    assert team.ops.branches() == ["main"]


def test_a_finding_of_a_gate_stops_it(team: Team, loop: Loop) -> None:
    team.file("deploy/secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n")
    code, shown = loop("promote", "stage")
    assert code == 1 and "plain-secret" in shown and "Secret/s" in shown
    assert team.ops.branches() == ["main"]


def test_an_environment_that_is_gone_is_told_with_the_way_to_take_it_down(team: Team, loop: Loop) -> None:
    code, shown = loop("promote", "stages")
    assert code == 1 and "no environment 'stages'" in shown and "git rm -r" in shown


def test_a_project_without_a_repository_is_told(team: Team, loop: Loop) -> None:
    team.file("loop.yaml", (team.folder / "loop.yaml").read_text().partition("gitops:")[0])
    code, shown = loop("promote", "stage")
    assert code == 1 and "has no GitOps repository" in shown


def test_a_render_without_objects_is_refused_without_a_terminal(team: Team, loop: Loop) -> None:
    loop("promote", "stage")
    team.merge("stage")
    (team.folder / "deploy/web.yaml").write_text("")
    assert loop("promote", "stage", "--dry-run")[0] == 1
    code, shown = loop("promote", "stage", "--yes")
    assert code == 1 and "would remove all of its objects" in shown and "--allow-empty" in shown
    assert loop("promote", "stage", "--yes", "--allow-empty")[0] == 0


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 130)])
def test_a_render_without_objects_is_asked_about_on_a_terminal(team: Team, loop: Loop, answer: str, code: int) -> None:
    loop("promote", "stage")
    team.merge("stage")
    before = team.ops.tip("loop/stage/vote")
    (team.folder / "deploy/web.yaml").write_text("")
    ours, theirs = pty.openpty()
    argv = [str(Path(sys.executable).with_name("loop")), "promote", "stage"]
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, cwd=team.folder) as process:
        os.close(theirs)
        shown = b""
        while b"Open the pull request that does so?" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, f"{answer}\n".encode())
        with contextlib.suppress(OSError):
            # the end of a terminal is an error of its own
            while os.read(ours, 4096):
                pass
    os.close(ours)
    assert process.returncode == code
    assert (team.ops.tip("loop/stage/vote") == before) is (answer == "n")


def test_uncommitted_changes_are_in_the_provenance(team: Team, loop: Loop) -> None:
    team.write(title="Not saved")
    loop("promote", "stage")
    assert team.provenance("stage")["innerloop"]["clean"] is False


def test_no_network_is_told(team: Team, loop: Loop) -> None:
    team.settings = "  repository: http://127.0.0.1:9/ops.git\n  forge: git\n"
    team.write()
    code, shown = loop("promote", "stage")
    assert code == 1 and "cannot reach the GitOps repository http://127.0.0.1:9/ops.git" in shown


def test_without_an_identity_of_git_it_commits_in_its_own_name(team: Team, loop: Loop) -> None:
    Path(os.environ["GIT_CONFIG_GLOBAL"]).write_text("[user]\nuseConfigOnly = true\n")
    assert loop("promote", "stage")[0] == 0
    author = git(team.ops.folder, "show", "--no-patch", "--format=%an <%ae>", "loop/stage/vote")
    assert author == "innerloop <innerloop@localhost>"


def test_the_identity_of_the_projects_clone_is_the_author(team: Team, loop: Loop) -> None:
    git(team.folder, "config", "user.name", "Alice")
    git(team.folder, "config", "user.email", "alice@example.com")
    loop("promote", "stage")
    author = git(team.ops.folder, "show", "--no-patch", "--format=%an <%ae>", "loop/stage/vote")
    assert author == "Alice <alice@example.com>"


# from one environment to the next


def test_from_stage_prod_gets_what_stage_runs(team: Team, loop: Loop) -> None:
    loop("promote", "stage")
    team.merge("stage")
    first = git(team.folder, "rev-parse", "HEAD")
    team.write(title="Birds or fish", digit="2")
    team.save("Second")
    code, shown = loop("promote", "prod", "--from", "stage")
    assert code == 0, shown
    assert "Cats or dogs" in team.proposed("prod") and "1" * 64 in team.proposed("prod")
    assert team.provenance("prod")["drySha"] == first
    assert team.provenance("prod")["innerloop"]["clean"] is True


def test_from_stage_the_images_are_those_that_run_there(team: Team, loop: Loop) -> None:
    loop("promote", "stage")
    team.merge("stage")
    # as a pipeline does it whose lock is in no commit
    running = team.ops.files()
    moved = {name: text.replace("1" * 64, "7" * 64) for name, text in running.items() if name.startswith("stage/vote/")}
    team.ops.commit(moved)
    code, shown = loop("promote", "prod", "--from", "stage")
    assert code == 0, shown
    assert "7" * 64 in team.proposed("prod") and "1" * 64 not in team.proposed("prod")
    assert team.provenance("prod")["innerloop"]["images"] == {"example.com/web": "example.com/web@sha256:" + "7" * 64}


def test_from_stage_the_checkout_is_not_touched(team: Team, loop: Loop) -> None:
    loop("promote", "stage")
    team.merge("stage")
    team.write(title="Not saved")
    before = git(team.folder, "status", "--porcelain"), git(team.folder, "worktree", "list")
    assert loop("promote", "prod", "--from", "stage")[0] == 0
    assert (git(team.folder, "status", "--porcelain"), git(team.folder, "worktree", "list")) == before
    assert "Cats or dogs" in team.proposed("prod")


def test_from_stage_a_commit_that_the_clone_lacks_is_fetched(team: Team, loop: Loop, tmp_path: Path) -> None:
    origin = tmp_path / "origin.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(team.folder), str(origin))
    git(origin, "config", "uploadpack.allowReachableSHA1InWant", "true")
    git(team.folder, "remote", "add", "origin", f"file://{origin}")
    loop("promote", "stage")
    team.merge("stage")
    team.write(title="Birds or fish")
    team.save("Second")
    git(team.folder, "push", "--quiet", "origin", "main")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{origin}", str(shallow))
    code, shown = loop("promote", "prod", "--from", "stage", "--file", str(shallow))
    assert code == 0, shown
    assert "Cats or dogs" in team.proposed("prod")


def test_from_an_environment_without_anything_is_told(team: Team, loop: Loop) -> None:
    code, shown = loop("promote", "prod", "--from", "stage")
    assert code == 1 and "nothing of vote runs in stage" in shown


def test_from_uncommitted_sources_is_told(team: Team, loop: Loop) -> None:
    team.write(title="Not saved")
    loop("promote", "stage")
    team.merge("stage")
    code, shown = loop("promote", "prod", "--from", "stage")
    assert code == 1 and "rendered from files that no commit has" in shown


# through a forge, by HTTP alone


async def test_a_token_of_the_environment_is_all_that_a_pipeline_needs(
    team: Team, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "served" / "acme" / "vote.git"
    folder.parent.mkdir(parents=True)
    team.ops.folder.rename(folder)
    team.ops.folder = folder
    async with serving(GitHub(Repository("acme/vote"))) as forge:
        server = GitServer(tmp_path / "served")
        server.accepted, forge.git = {TOKEN}, server.answer
        team.settings = f"  repository: {forge.url}/acme/vote.git\n  forge: github\n"
        team.write()
        monkeypatch.setenv("LOOP_FORGE_TOKEN", TOKEN)
        events: list[Event] = []
        outcome = await promoting.promote(team.load, "stage", "", Allowed(), events.append)
    [pull] = forge.repository.pulls
    assert (pull.head, pull.base, pull.state) == ("loop/stage/vote", "main", "open")
    assert outcome.commit == team.ops.tip("loop/stage/vote")
    [told] = [event for event in events if isinstance(event, Promoted)]
    assert told.url == f"{forge.url}/acme/vote/pull/1"


# and then


def test_waiting_tells_how_far_it_came(team: Team, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", os.devnull)
    code, shown = loop("promote", "stage", "--wait", "--timeout", "0")
    assert code == 1 and "stage is not healthy after 0 s: in pull request" in shown


def test_waiting_for_what_no_commit_has_is_told(team: Team, loop: Loop) -> None:
    (team.folder / ".git").rename(team.folder / "gone")
    code, shown = loop("promote", "stage", "--wait")
    assert code == 1 and "nothing tells when it arrives" in shown


# and back


def test_rollback_goes_back_and_promote_does_not_undo_it(team: Team, loop: Loop) -> None:
    loop("promote", "stage")
    team.merge("stage")
    team.write(title="Birds or fish")
    team.save("Second")
    loop("promote", "stage")
    team.merge("stage")
    code, shown = loop("rollback", "stage")
    assert code == 0, shown
    assert "Cats or dogs" in team.proposed("stage")
    team.merge("stage")
    code, shown = loop("promote", "stage")
    assert code == 1 and "was rolled back in stage" in shown and "--over-rollback" in shown
    assert loop("promote", "stage", "--over-rollback")[0] == 0
