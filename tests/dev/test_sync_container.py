"""One container brought and kept in step: the sender with the real helper, without Kubernetes."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from innerloop.dev.globs import parse_globs
from innerloop.dev.sync import protocol, sending
from innerloop.dev.sync.connection import Disconnected
from innerloop.events import Notice, ProcessState, Synced, SyncProgress
from tests.dev.sync_containers import Developed, Pipes, listing
from tests.waiting import until


@pytest.fixture
def developed(tmp_path: Path) -> Developed:
    return Developed(tmp_path)


def write(folder: Path, **files: str) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


async def bring_up(developed: Developed) -> None:
    developed.look()
    async with developed.connected() as connection:
        await developed.sync.bring_up_to_date(connection)


async def test_first_sync_sends_what_differs_and_only_that(developed: Developed) -> None:
    write(developed.local, same="1", other="22", new="3", sub__deep="4")
    write(developed.remote, same="1", other="xx")
    await bring_up(developed)
    assert listing(developed.remote) == listing(developed.local)
    (event,) = developed.synced()
    assert (event.files, event.deleted, event.bytes, event.initial) == (3, 0, 4, True)
    assert event.paths == ("sub", "new", "other", "sub/deep")


async def test_sync_again_sends_no_content(developed: Developed) -> None:
    write(developed.local, **{f"file{number}": "x" * 5000 for number in range(100)})
    await bring_up(developed)
    await bring_up(developed)
    assert developed.pipes
    assert developed.pipes.written < 100 * 100
    assert developed.synced()[-1].files == 0


async def test_more_paths_than_one_question_holds_are_compared(developed: Developed) -> None:
    long_name = "n" * 200
    write(developed.local, **{f"{long_name}{number}": str(number) for number in range(protocol.MAX_CHECKS // 3)})
    await bring_up(developed)
    await bring_up(developed)
    assert [event.files for event in developed.synced()] == [protocol.MAX_CHECKS // 3, 0]


async def test_files_of_the_container_stay_until_their_path_is_deleted_here(developed: Developed) -> None:
    write(developed.local, a="1", gone="1")
    write(developed.remote, a="1", gone="1", only__there="2")
    developed.look()
    async with developed.following():
        (developed.local / "gone").unlink()
        developed.look()
        await until(lambda: not (developed.remote / "gone").exists())
    assert (developed.remote / "only/there").read_text() == "2"


async def test_what_was_deleted_while_no_container_ran_is_deleted_in_the_next(developed: Developed) -> None:
    write(developed.local, keep="1", gone="1", folder__gone="1")
    await bring_up(developed)
    (developed.local / "gone").unlink()
    shutil.rmtree(developed.local / "folder")
    developed.look()
    write(developed.remote, keep="old", gone="image", folder__gone="image")
    await bring_up(developed)
    assert list(listing(developed.remote)) == ["keep"]


async def test_ignored_files_of_the_container_survive_the_deletion_of_their_folder(developed: Developed) -> None:
    write(developed.local, folder__code="1")
    write(developed.remote, **{"folder__data.log": "precious"})
    developed.look()
    async with developed.following():
        shutil.rmtree(developed.local / "folder")
        developed.look()
        await until(lambda: not (developed.remote / "folder/code").exists())
    assert (developed.remote / "folder/data.log").read_text() == "precious"
    assert not [event for event in developed.events if isinstance(event, Notice)]


async def test_saves_arrive_one_by_one_and_together(developed: Developed) -> None:
    developed.look()
    async with developed.following():
        for number in range(20):
            write(developed.local, a=f"{number:02}")
            await developed.settle()
        write(developed.local, **{f"file{number}": str(number) for number in range(300)})
        (developed.local / "a").unlink()
        await developed.settle()


async def test_what_was_read_to_look_at_a_save_is_what_is_sent(developed: Developed) -> None:
    developed.look()
    async with developed.following():
        for number in range(10):
            write(developed.local, a=f"save {number}")
            developed.look("a")
            # nobody has told of this one yet
            write(developed.local, a="later")
            await live(developed)
            assert (developed.remote / "a").read_text() == f"save {number}"
        await developed.settle()


async def test_moved_file_is_not_sent_again(developed: Developed) -> None:
    write(developed.local, old="x" * 100_000)
    developed.look()
    async with developed.following():
        (developed.local / "sub").mkdir()
        (developed.local / "old").rename(developed.local / "sub/new")
        await developed.settle()
        await live(developed)
    assert developed.synced()[-1].bytes == 0
    assert (developed.synced()[-1].files, developed.synced()[-1].deleted) == (1, 0)


async def test_moved_file_that_the_container_changed_is_sent(developed: Developed) -> None:
    write(developed.local, old="ours")
    developed.look()
    async with developed.following():
        write(developed.remote, old="theirs")
        (developed.local / "old").rename(developed.local / "new")
        await developed.settle()
    assert not [event for event in developed.events if isinstance(event, Notice)]


async def live(developed: Developed) -> None:
    """Wait until what was marked so far is live."""
    marked = developed.sync.marked
    await until(lambda: developed.sync.is_live(marked), timeout=10)


async def test_what_is_live_is_in_the_container(developed: Developed) -> None:
    developed.look()
    async with developed.following():
        await live(developed)
        for number in range(20):
            write(developed.local, a=str(number), **{f"sub{number}__b": "1"})
            (developed.local / f"sub{number}/b").rename(developed.local / f"moved{number}")
            developed.look()
            assert not developed.sync.is_live(developed.sync.marked)
            await live(developed)
            assert listing(developed.remote) == listing(developed.local)


async def test_moved_file_is_not_live_before_its_content_is_sent_where_it_has_to_be(developed: Developed) -> None:
    write(developed.local, old="ours")
    developed.look()
    async with developed.following():
        write(developed.remote, old="theirs")
        (developed.local / "old").rename(developed.local / "new")
        developed.look()
        await live(developed)
        assert (developed.remote / "new").read_text() == "ours"


async def test_what_failed_is_a_problem_until_it_is_mended(developed: Developed) -> None:
    write(developed.local, taken="1")
    write(developed.remote, **{"taken__data.log": "x"})
    developed.look()
    async with developed.following():
        await live(developed)
        (problem,) = developed.sync.problems()
        assert f"{developed.remote}/taken: a folder is in its place" in problem
        shutil.rmtree(developed.remote / "taken")
        write(developed.local, taken="2")
        developed.look()
        await live(developed)
        assert developed.sync.problems() == []


async def test_changes_while_there_is_no_stream_are_live_after_the_next_comparison(developed: Developed) -> None:
    await bring_up(developed)
    write(developed.local, a="1")
    developed.look()
    marked = developed.sync.marked
    assert not developed.sync.is_live(marked)
    await bring_up(developed)
    assert developed.sync.is_live(marked)


async def test_long_batch_tells_its_progress(developed: Developed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr(sending, "PROGRESS_EVERY", 0.0)
    write(developed.local, **{f"file{number}": "x" * 5000 for number in range(200)})
    await bring_up(developed)
    told = [event for event in developed.events if isinstance(event, SyncProgress)]
    assert [event.files for event in told] == sorted({event.files for event in told})
    assert [event.bytes for event in told] == sorted(event.bytes for event in told)
    assert {(event.all_files, event.all_bytes) for event in told} == {(201, 1_000_000)}  # the folder, too
    assert told[0].files < told[-1].files <= 201
    assert isinstance(developed.events[-1], Synced)


async def test_short_batch_tells_no_progress(developed: Developed) -> None:
    write(developed.local, **{f"file{number}": "x" for number in range(20)})
    await bring_up(developed)
    assert not [event for event in developed.events if isinstance(event, SyncProgress)]


async def test_large_file_arrives_in_chunks(developed: Developed) -> None:
    content = os.urandom(5 * protocol.CHUNK + 1)
    (developed.local / "large").write_bytes(content)
    await bring_up(developed)
    assert (developed.remote / "large").read_bytes() == content
    assert developed.synced()[0].bytes == len(content)


async def test_modes_change_only_where_they_were_changed_here(developed: Developed) -> None:
    for name in ("entry.sh", "tool.py"):
        write(developed.local, **{name: "same"})
        write(developed.remote, **{name: "same"})
    (developed.remote / "entry.sh").chmod(0o750)
    developed.look()
    async with developed.following():
        write(developed.local, **{"entry.sh": "new"})
        developed.look()
        await until(lambda: (developed.remote / "entry.sh").read_text() == "new")
        assert (developed.remote / "entry.sh").stat().st_mode & 0o777 == 0o750
        (developed.local / "entry.sh").chmod(0o640)
        await developed.settle()
        developed.local.chmod(0o700)
        write(developed.local, more="1")
        await developed.settle()
    assert not [event for event in developed.events if isinstance(event, Notice)]


async def test_unwritable_path_is_told_once_with_the_mend_and_tried_again_when_saved(developed: Developed) -> None:
    write(developed.local, taken="1", fine="2")
    write(developed.remote, **{"taken__data.log": "x"})
    developed.look()
    async with developed.following():
        assert (developed.remote / "fine").read_text() == "2"
        (notice,) = [event for event in developed.events if isinstance(event, Notice)]
        assert f"{developed.remote}/taken: a folder is in its place" in notice.message
        assert notice.hint.startswith("if they are not needed, remove it: loop exec web -- rm -r")
        shutil.rmtree(developed.remote / "taken")
        write(developed.local, taken="3")
        await developed.settle()


async def test_change_during_the_comparison_is_not_lost(developed: Developed) -> None:
    write(developed.local, a="1", b="1")
    developed.look()
    async with developed.connected() as connection, asyncio.TaskGroup() as tasks:
        comparing = tasks.create_task(developed.sync.bring_up_to_date(connection), name="compare")
        await asyncio.sleep(0)
        write(developed.local, a="2")
        (developed.local / "b").unlink()
        developed.look()
        await comparing
        following = tasks.create_task(developed.sync.follow(connection), name="follow")
        await developed.settle()
        following.cancel()


async def test_content_that_was_caught_between_two_equal_ones_is_sent_again(developed: Developed) -> None:
    write(developed.local, a="whole")
    developed.look()
    write(developed.local, a="")
    async with developed.following():
        assert (developed.remote / "a").read_text() == ""
        write(developed.local, a="whole")
        await developed.settle()


async def test_cut_stream_is_an_error_and_the_next_one_converges(developed: Developed) -> None:
    write(developed.local, a="1")
    developed.look()
    with pytest.raises(Disconnected):
        async with developed.connected() as connection:
            await developed.sync.bring_up_to_date(connection)
            assert developed.pipes
            developed.pipes.process.send_signal(signal.SIGKILL)
            write(developed.local, a="2", b="3")
            developed.look()
            await developed.sync.follow(connection)
    await bring_up(developed)
    assert listing(developed.remote) == listing(developed.local)


@pytest.mark.parametrize("change", ["save", "deletion", "rename"])
async def test_what_follows_a_save_is_done_though_the_stream_broke_before_its_acknowledgement(
    tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    developed = Developed(tmp_path, restart=("*.py",))
    write(developed.local, **{"a.py": "1", "b.txt": "1"})
    await bring_up(developed)
    read = Pipes.read

    async def read_until_it_breaks(pipes: Pipes) -> bytes:
        data = await read(pipes)
        return data if listing(developed.remote) != listing(developed.local) or not changed else b""

    monkeypatch.setattr(Pipes, "read", read_until_it_breaks)
    changed = False
    with pytest.raises(Disconnected):
        async with developed.connected() as connection:
            await developed.sync.bring_up_to_date(connection)
            if change == "save":
                write(developed.local, **{"a.py": "2"})
            elif change == "deletion":
                (developed.local / "a.py").unlink()
            else:
                (developed.local / "a.py").rename(developed.local / "c.py")
            changed = True
            developed.look()
            await developed.sync.follow(connection)
    monkeypatch.undo()
    assert listing(developed.remote) == listing(developed.local)
    await bring_up(developed)
    assert (developed.synced()[-1].files, developed.synced()[-1].action) == (0, "restart")


async def test_what_was_deleted_before_is_not_deleted_anew_on_the_next_stream(tmp_path: Path) -> None:
    developed = Developed(tmp_path, restart=("*.py",))
    write(developed.local, **{"a.py": "1", "folder__b.py": "1"})
    await bring_up(developed)
    (developed.local / "a.py").unlink()
    shutil.rmtree(developed.local / "folder")
    developed.look()
    for expected in ((3, "restart"), (0, "")):
        await bring_up(developed)
        assert (developed.synced()[-1].deleted, developed.synced()[-1].action) == expected


async def test_restart_where_there_is_no_supervisor_is_told(tmp_path: Path) -> None:
    developed = Developed(tmp_path, restart=("*.py",))
    write(developed.local, **{"a.py": "1", "b.txt": "1"})
    await bring_up(developed)
    (notice,) = [event for event in developed.events if isinstance(event, Notice)]
    assert notice.hint == "set dev.web.command and run loop dev again"
    assert developed.synced()[0].action == "restart"


async def test_states_of_the_process_are_told_when_they_change(developed: Developed) -> None:
    for state in (protocol.ProcessCode.RUNNING, protocol.ProcessCode.EXITED, protocol.ProcessCode.EXITED):
        developed.sync.on_reply(protocol.State(state, 1, -11))
    developed.sync.on_reply(protocol.Restarted(1, protocol.RestartResult.NOT_STARTED, "cannot start x"))
    told = [(event.state, event.message) for event in developed.events if isinstance(event, ProcessState)]
    assert told == [("exited", "ended by signal 11"), ("exited", "cannot start x")]


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("**/*.py", ["a.py", "a/b.py", "a/b/c.py"], ["a.pyc", "a.py/b"]),
        ("*.py", ["a.py"], ["a/b.py"]),
        ("src/**", ["src/a", "src/a/b"], ["a", "x/src/a"]),
        ("src/", ["src/a", "src/a/b"], ["srcs/a"]),
        ("./main.go", ["main.go"], ["cmd/main.go"]),
        ("**/conf/*.json", ["conf/a.json", "x/y/conf/b.json"], ["conf/x/a.json"]),
        ("[ab].txt", ["a.txt"], ["c.txt"]),
    ],
)
def test_restart_globs(glob: str, yes: list[str], no: list[str]) -> None:
    patterns = parse_globs([glob])
    assert [path for path in [*yes, *no] if patterns.check(path.encode(), False)] == yes


def test_restart_globs_can_make_exceptions() -> None:
    patterns = parse_globs(["**/*.py", "!tests/**"])
    assert patterns.check(b"app/a.py", False)
    assert not patterns.check(b"tests/a.py", False)


Step = Callable[[Path], None]
names = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join)
texts = st.sampled_from(["", "x", "y", "z"])


def step(action: Callable[..., object], *arguments: object) -> Step:
    """An edit of the local folder; one that is not possible there does nothing."""

    def apply(folder: Path) -> None:
        try:
            action(*(folder / one if isinstance(one, str) else one for one in arguments))
        except (OSError, shutil.Error):
            pass

    return apply


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


steps = st.one_of(
    st.builds(lambda name, text: step(put, name, text.encode()), names, texts),
    st.builds(lambda name: step(remove, name), names),
    st.builds(lambda old, new: step(Path.rename, old, new), names, names),
    st.builds(lambda name: step(Path.mkdir, name), names),
    st.builds(lambda name, text: step(lambda path: path.symlink_to(text), name), names, texts),
    st.builds(lambda name, mode: step(Path.chmod, name, mode), names, st.sampled_from([0o644, 0o755, 0o700])),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(steps, min_size=1, max_size=5), min_size=1, max_size=6))
async def test_any_edits_leave_both_sides_equal(rounds: list[list[Step]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        developed = Developed(Path(folder))
        developed.look()
        async with developed.following():
            for edits in rounds:
                for edit in edits:
                    edit(developed.local)
                await developed.settle()
        assert not [event for event in developed.events if isinstance(event, Notice)]


async def test_file_that_is_just_being_written_is_not_sent_half(developed: Developed) -> None:
    write(developed.local, a="whole")
    developed.look()
    async with developed.following():
        with (developed.local / "a").open("w") as file:
            file.write("half")
            file.flush()
            developed.look()
            write(developed.local, mark="1")
            developed.look()
            await until(lambda: (developed.remote / "mark").exists())
            assert (developed.remote / "a").read_text() == "whole"
            file.write(" and half")
        await until(lambda: (developed.remote / "a").read_text() == "half and half")


@pytest.mark.parametrize("size", [10, 3 * protocol.CHUNK])
async def test_file_that_is_never_closed_is_sent_as_it_is(
    developed: Developed, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("innerloop.dev.sync.delivered.WRITER_SECONDS", 0.2)
    with (developed.local / "growing").open("wb") as file:
        file.write(bytes(size))
        file.flush()
        developed.look()
        async with developed.following():

            def arrived() -> bool:
                file.write(b"x")
                file.flush()
                return (developed.remote / "growing").exists()

            await until(arrived)
            assert (developed.remote / "growing").stat().st_size >= size


async def test_helper_that_owes_an_answer_and_is_silent_is_given_up(
    developed: Developed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("innerloop.dev.sync.connection.SILENT_SECONDS", 0.2)
    write(developed.local, a="1")
    developed.look()
    with pytest.raises(Disconnected, match="does not answer"):
        async with developed.connected() as connection:
            await developed.sync.bring_up_to_date(connection)
            assert developed.pipes
            developed.pipes.process.send_signal(signal.SIGSTOP)
            write(developed.local, a="2")
            developed.look()
            try:
                await developed.sync.follow(connection)
            finally:
                developed.pipes.process.kill()
    await bring_up(developed)
    assert listing(developed.remote) == listing(developed.local)
