"""What follows a sync: which actions a batch needs, in which order they run, and what a failure holds back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from innerloop.dev.globs import parse_globs
from innerloop.dev.sync.actions import ContainerActions, Surroundings, matching
from innerloop.dev.sync.connection import Answer, Disconnected
from innerloop.dev.sync.laptop import Laptop, LaptopCommands
from innerloop.dev.sync.local_tree import FILE, FOLDER, Entry, Key
from innerloop.dev.sync.protocol import SignalResult
from innerloop.events import Event, StepDone, StepFailed, StepOutput
from innerloop.processes import stream
from innerloop.project import DevTarget, SyncAction
from tests.dev.sync_containers import CONTAINER, Developed
from tests.running import is_running
from tests.waiting import until


def entry(content: str = "") -> Entry:
    return Entry(FILE, 0o644, len(content), content.encode().ljust(32, b"\0"))


def changes(*paths: str, content: str = "") -> dict[Key, Entry | None]:
    return {Key(0, path.encode()): entry(content) for path in paths}


def needed(globs: Iterable[Iterable[str]], changed: dict[Key, Entry | None]) -> list[int]:
    return list(matching([parse_globs(one) for one in globs], changed))


def test_a_batch_needs_the_actions_whose_globs_name_a_file_of_it() -> None:
    globs = [["*.txt"], ["**/*.py", "!tests/"], ["requirements.txt"]]
    assert needed(globs, changes("requirements.txt", "a/b.css")) == [0, 2]
    assert needed(globs, changes("tests/a.py")) == []


def test_a_deleted_file_needs_its_action() -> None:
    assert needed([["*.txt"]], {Key(0, b"a.txt"): None}) == [0]


def test_a_folder_needs_no_action() -> None:
    assert needed([["**"]], {Key(0, b"a.d"): Entry(FOLDER, 0o755, 0, bytes(32))}) == []


class Process:
    """Takes note of what reaches it, in the file that the commands of a test write to."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.is_connected = True
        self.answers = SignalResult.SENT
        self.restarted: Answer | None = None

    async def restart(self) -> Answer | None:
        self._note("restart")
        return self.restarted

    async def signal(self, number: int) -> SignalResult:
        self._note(f"signal {number}")
        return self.answers

    def _note(self, text: str) -> None:
        if not self.is_connected:
            raise Disconnected("not now")
        with self.log.open("a") as file:
            file.write(f"{text}\n")


class Followed:
    """The actions of one container, whose commands are processes of this machine."""

    def __init__(self, folder: Path, *actions: SyncAction) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.process = Process(self.log)
        self.events: list[Event] = []
        self.everywhere = asyncio.Event()
        self.everywhere.set()
        self.laptop = LaptopCommands(Laptop(folder, {"LOOP_NAMESPACE": "mine"}), self._everywhere)
        self.target = DevTarget(name="web", image="web", actions=actions)
        self.actions = self.container("web-1")

    async def _everywhere(self) -> None:
        await self.everywhere.wait()

    def container(self, pod: str) -> ContainerActions:
        surroundings = Surroundings(partial(stream, cwd=self.folder), self.laptop, self.events.append)
        return ContainerActions(self.target, CONTAINER._replace(pod=pod), self.process, surroundings)

    def done(self) -> list[str]:
        return self.log.read_text().split("\n")[:-1] if self.log.exists() else []

    def failed(self) -> list[StepFailed]:
        return [event for event in self.events if isinstance(event, StepFailed)]

    @asynccontextmanager
    async def running(self, *others: ContainerActions) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one.run(), name="actions") for one in (self.actions, *others)]
            yield
            for task in tasks:
                task.cancel()


def shell(files: str, command: str) -> SyncAction:
    return SyncAction(files=(files,), exec=("sh", "-c", command))


async def test_actions_run_in_the_order_of_the_file_and_then_the_restart(tmp_path: Path) -> None:
    followed = Followed(
        tmp_path,
        shell("*.txt", "echo exec >> log"),
        SyncAction(files=("**",), run="echo run >> log"),
        SyncAction(files=("*.conf",), signal="HUP"),
    )
    async with followed.running():
        followed.actions.take(changes("a.conf", "b.txt"), restart=True)
        await followed.actions.wait_idle()
    assert followed.done() == ["exec", "run", "signal 1", "restart"]


async def test_an_action_runs_once_for_a_batch_of_many_files(tmp_path: Path) -> None:
    followed = Followed(tmp_path, shell("*.txt", "echo exec >> log"))
    async with followed.running():
        followed.actions.take(changes(*(f"{number}.txt" for number in range(50))), restart=False)
        await followed.actions.wait_idle()
    assert followed.done() == ["exec"]


async def test_what_no_glob_names_is_followed_by_the_restart_alone(tmp_path: Path) -> None:
    followed = Followed(tmp_path, shell("*.txt", "echo exec >> log"))
    async with followed.running():
        assert not followed.actions.take(changes("main.py"), restart=True)
        await followed.actions.wait_idle()
    assert followed.done() == ["restart"]


async def test_output_comes_while_the_command_runs(tmp_path: Path) -> None:
    followed = Followed(tmp_path, shell("*", "echo early; while [ ! -e go ]; do sleep 0.01; done"))
    async with followed.running():
        followed.actions.take(changes("a"), restart=False)
        await until(lambda: [event.text for event in followed.events if isinstance(event, StepOutput)] == ["early"])
        (tmp_path / "go").touch()
        await followed.actions.wait_idle()
    assert isinstance(followed.events[-1], StepDone)


async def test_a_failure_holds_back_what_comes_after_it(tmp_path: Path) -> None:
    followed = Followed(tmp_path, shell("*", "exit 3"), shell("*", "echo later >> log"))
    async with followed.running():
        followed.actions.take(changes("a"), restart=True)
        await followed.actions.wait_idle()
    assert followed.done() == []


async def test_a_failure_is_shown_with_command_status_and_the_end_of_its_output(tmp_path: Path) -> None:
    followed = Followed(tmp_path, shell("*", "seq 100; echo broken >&2; exit 3"))
    async with followed.running():
        followed.actions.take(changes("a"), restart=True)
        await followed.actions.wait_idle()
    (failure,) = followed.failed()
    assert (failure.step, failure.title) == (
        "action/web/web-1/0",
        "web: sh -c 'seq 100; echo broken >&2; exit 3' in web-1",
    )
    assert "ended with status 3 in web-1/web" in failure.message
    assert failure.detail.splitlines() == [*map(str, range(82, 101)), "broken"]
    assert failure.hint == "the process that runs stays; the next change tries again"


async def test_a_failed_action_is_tried_again_with_the_next_change(tmp_path: Path) -> None:
    followed = Followed(tmp_path, shell("*.txt", "test -e mended && echo exec >> log"))
    async with followed.running():
        followed.actions.take(changes("a.txt"), restart=True)
        await followed.actions.wait_idle()
        (tmp_path / "mended").touch()
        followed.actions.take(changes("other.py"), restart=False)
        await followed.actions.wait_idle()
    assert followed.done() == ["exec", "restart"]


async def test_changes_during_a_run_make_it_run_once_more_but_never_beside_itself(tmp_path: Path) -> None:
    command = "echo begin >> log; while [ ! -e go ]; do sleep 0.01; done; echo end >> log"
    followed = Followed(tmp_path, shell("*", command))
    async with followed.running():
        followed.actions.take(changes("a"), restart=False)
        await until(followed.done)
        for content in ("1", "2", "3"):
            followed.actions.take(changes("a", content=content), restart=False)
        (tmp_path / "go").touch()
        await followed.actions.wait_idle()
    assert followed.done() == ["begin", "end", "begin", "end"]


async def test_a_restart_without_connection_comes_with_the_next_one(tmp_path: Path) -> None:
    followed = Followed(tmp_path, shell("*.txt", "true"))
    followed.process.is_connected = False
    async with followed.running():
        followed.actions.take(changes("main.py"), restart=True)
        await followed.actions.wait_idle()
        followed.process.is_connected = True
        followed.actions.take({}, restart=False)
        await followed.actions.wait_idle()
    assert followed.done() == ["restart"]


async def test_an_answer_lost_with_its_connection_does_not_hold_up_the_next_one(tmp_path: Path) -> None:
    followed = Followed(tmp_path, shell("*.txt", "true"))
    followed.process.restarted = asyncio.get_running_loop().create_future()
    async with followed.running():
        followed.actions.take(changes("main.py"), restart=True)
        await until(followed.done)
        followed.process.restarted.set_exception(Disconnected("cut"))
        with pytest.raises(Disconnected):
            await followed.process.restarted
        async with asyncio.timeout(5):
            await followed.actions.wait_idle()


@pytest.mark.parametrize(
    ("result", "told"),
    [(SignalResult.NO_PROCESS, "it ended"), (SignalResult.NO_SUPERVISOR, "not started by the helper")],
)
async def test_a_signal_that_reaches_nobody_is_a_failure_with_a_hint(
    tmp_path: Path, result: SignalResult, told: str
) -> None:
    followed = Followed(tmp_path, SyncAction(files=("*",), signal="USR1"))
    followed.process.answers = result
    async with followed.running():
        followed.actions.take(changes("a"), restart=False)
        await followed.actions.wait_idle()
    (failure,) = followed.failed()
    assert told in failure.message
    assert failure.hint


async def test_a_command_of_this_machine_runs_in_the_projects_folder_with_our_variables(tmp_path: Path) -> None:
    followed = Followed(tmp_path, SyncAction(files=("*",), run='echo "$(pwd) $LOOP_NAMESPACE" > log'))
    async with followed.running():
        followed.actions.take(changes("a"), restart=False)
        await followed.actions.wait_idle()
    assert followed.done() == [f"{tmp_path} mine"]


async def test_a_command_of_this_machine_runs_once_for_a_change_of_several_containers(tmp_path: Path) -> None:
    followed = Followed(tmp_path, SyncAction(files=("*",), run="echo run >> log"))
    other = followed.container("web-2")
    async with followed.running(other):
        for one in (followed.actions, other):
            one.take(changes("a"), restart=True)
            await one.wait_idle()
        followed.actions.take(changes("a", content="new"), restart=False)
        await followed.actions.wait_idle()
    assert followed.done() == ["run", "restart", "restart", "run"]


async def test_a_failed_command_of_this_machine_holds_back_every_container_but_runs_once(tmp_path: Path) -> None:
    followed = Followed(tmp_path, SyncAction(files=("*",), run="echo run >> log; exit 1"))
    other = followed.container("web-2")
    async with followed.running(other):
        for one in (followed.actions, other):
            one.take(changes("a"), restart=True)
            await one.wait_idle()
    assert followed.done() == ["run"]
    assert len(followed.failed()) == 1


async def test_a_failed_command_of_this_machine_is_tried_again_once_for_all(tmp_path: Path) -> None:
    followed = Followed(tmp_path, SyncAction(files=("*.txt",), run="echo run >> log; test -e mended"))
    other = followed.container("web-2")
    async with followed.running(other):
        for content in ("broken", "good"):
            for one in (followed.actions, other):
                one.take(changes("a.txt") if content == "broken" else changes("b.py"), restart=False)
                await one.wait_idle()
            (tmp_path / "mended").touch()
    assert followed.done() == ["run", "run"]


async def test_a_command_of_this_machine_waits_until_all_containers_have_the_change(tmp_path: Path) -> None:
    followed = Followed(tmp_path, SyncAction(files=("*",), run="echo run >> log"))
    followed.everywhere.clear()
    async with followed.running():
        followed.actions.take(changes("a"), restart=False)
        (tmp_path / "log").write_text("all have it\n")
        followed.everywhere.set()
        await followed.actions.wait_idle()
    assert followed.done() == ["all have it", "run"]


async def test_the_end_of_a_session_ends_a_command_of_this_machine_and_its_children(tmp_path: Path) -> None:
    followed = Followed(tmp_path, SyncAction(files=("*",), run="sleep 1000 & echo $! > child; wait"))
    async with followed.running():
        followed.actions.take(changes("a"), restart=False)
        await until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    child = int((tmp_path / "child").read_text())
    await until(lambda: not is_running(child))
    assert [failure.message for failure in followed.failed()] == ["interrupted"]


def following_up(folder: Path, action: SyncAction) -> Developed:
    """A container whose commands run where its files are."""
    laptop = LaptopCommands(Laptop(folder, {}), partial(asyncio.sleep, 0))
    surroundings = Surroundings(partial(stream, cwd=folder / "remote"), laptop, lambda event: None)
    return Developed(folder, surroundings=surroundings, actions=(action,))


async def test_at_the_first_sync_nothing_runs_when_nothing_differs(tmp_path: Path) -> None:
    developed = following_up(tmp_path, shell("*", "echo exec > ran.log"))
    developed.remote.mkdir()
    for folder in (developed.local, developed.remote):
        (folder / "a.txt").write_text("same")
    developed.look()
    async with developed.connected() as connection, asyncio.TaskGroup() as tasks:
        task = tasks.create_task(developed.sync.run_actions(), name="actions")
        await developed.sync.bring_up_to_date(connection)
        await developed.sync.wait_settled()
        task.cancel()
    assert not (developed.remote / "ran.log").exists()


async def test_at_the_first_sync_actions_follow_what_was_sent(tmp_path: Path) -> None:
    developed = following_up(tmp_path, shell("*.txt", "cp a.txt copy.log"))
    (developed.local / "a.txt").write_text("new")
    developed.look()
    async with developed.connected() as connection, asyncio.TaskGroup() as tasks:
        task = tasks.create_task(developed.sync.run_actions(), name="actions")
        await developed.sync.bring_up_to_date(connection)
        await developed.sync.wait_settled()
        task.cancel()
    assert (developed.remote / "copy.log").read_text() == "new"


async def test_saves_are_sent_while_an_action_runs(tmp_path: Path) -> None:
    developed = following_up(tmp_path, shell("slow.txt", "while [ ! -e second.txt ]; do sleep 0.01; done"))
    developed.look()
    async with developed.following(), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(developed.sync.run_actions(), name="actions")
        (developed.local / "slow.txt").write_text("1")
        await developed.settle()
        (developed.local / "second.txt").write_text("2")
        await developed.settle()
        await developed.sync.wait_settled()
        task.cancel()
