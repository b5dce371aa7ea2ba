"""Changes of containers: merged with those of this machine, by the sender with the real helper."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import shutil
import signal
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from innerloop.dev.sync import doubting, protocol
from innerloop.dev.sync.connection import Disconnected
from innerloop.dev.sync.doubting import DOUBT_SECONDS
from tests.dev.sync_containers import Developed, is_beside, listing
from tests.dev.two_sides import Editor
from tests.waiting import until


@pytest.fixture
def developed(tmp_path: Path) -> Developed:
    return Developed(tmp_path, path={"direction": "both"})


def write(root: Path, /, **files: str) -> None:
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def texts(folder: Path) -> dict[str, str]:
    """Contents of all files below a folder."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def copies(folder: Path) -> dict[str, str]:
    """What conflicts left, by the path that they are about."""
    return {path.split(".sync-conflict-")[0]: text for path, text in texts(folder).items() if is_beside(path)}


async def has(path: Path, text: str) -> None:
    await until(lambda: path.is_file() and path.read_text() == text, timeout=10, what=f"{path} with {text!r}")


async def test_edits_of_both_sides_reach_the_other(developed: Developed) -> None:
    write(developed.local, a="1", sub__b="1")
    async with developed.watched(), developed.following():
        write(developed.remote, a="2", sub__c="2", new__deep__d="2")
        await has(developed.local / "new/deep/d", "2")
        write(developed.local, sub__b="3", new__e="3")
        await developed.equal()
        (developed.remote / "empty").mkdir()
        (developed.remote / "link").symlink_to("a")
        (developed.remote / "run").write_text("x")
        (developed.remote / "run").chmod(0o755)
        (developed.remote / "sub/c").rename(developed.remote / "moved")
        await developed.equal()
        shutil.rmtree(developed.remote / "new")
        (developed.local / "moved").unlink()
        await developed.equal()
    assert not developed.notices()
    assert {batch.direction for batch in developed.synced()} == {"up", "down"}


async def test_nothing_bounces_once_both_have_the_same(developed: Developed) -> None:
    write(developed.local, a="1")
    write(developed.remote, b="1")
    async with developed.watched(), developed.following():
        write(developed.local, a="2", c="1")
        write(developed.remote, b="2", d="1")
        await developed.equal()
        await quiet(developed)
        assert [(batch.direction, batch.paths) for batch in developed.synced() if not batch.initial] != []
        assert developed.pipes
        batches, written = len(developed.synced()), developed.pipes.written
        await asyncio.sleep(2 * DOUBT_SECONDS)
        assert (len(developed.synced()), developed.pipes.written) == (batches, written)
        sent = [path for batch in developed.synced("up") if not batch.initial for path in batch.paths]
        taken = [path for batch in developed.synced("down") for path in batch.paths]
    assert sorted(sent) == ["a", "c"]
    assert sorted(taken) == ["b", "b", "d"]


async def test_conflict_keeps_what_is_here_and_the_other_beside_it(developed: Developed) -> None:
    write(developed.local, sub__a="1")
    async with developed.watched(), developed.following():
        write(developed.remote, sub__a="there")
        write(developed.local, sub__a="here")
        developed.look("sub/a")
        await until(developed.notices)
        await has(developed.remote / "sub/a", "here")
        await quiet(developed)
    assert (developed.local / "sub/a").read_text() == "here"
    assert copies(developed.local) == {"sub/a": "there"}
    assert copies(developed.remote) == {}
    (notice,) = developed.notices()
    assert str(developed.local / "sub/a") in notice.message
    assert ".sync-conflict-" in notice.detail


async def test_same_change_on_both_sides_is_no_conflict(developed: Developed) -> None:
    write(developed.local, a="1")
    async with developed.watched(), developed.following():
        write(developed.remote, a="2", b="1")
        write(developed.local, a="2", b="1")
        await developed.equal()
        await quiet(developed)
    assert not developed.notices()
    assert not copies(developed.local)


@pytest.mark.parametrize("side", ["local", "remote"])
async def test_change_survives_the_deletion_on_the_other_side(developed: Developed, side: str) -> None:
    changing, deleting = developed.local, developed.remote
    if side == "remote":
        changing, deleting = deleting, changing
    write(developed.local, sub__a="1", b="1")
    async with developed.watched(), developed.following():
        shutil.rmtree(deleting / "sub")
        write(changing, sub__a="2")
        developed.look()
        await has(deleting / "sub/a", "2")
        await developed.equal()
        await quiet(developed)
    assert texts(changing) == {"sub/a": "2", "b": "1"}
    assert not developed.notices()


async def test_change_of_the_container_that_was_not_told_yet_is_not_overwritten(developed: Developed) -> None:
    """The upload is on its way before the helper's word of the change arrives."""
    write(developed.local, a="1", old="1")
    async with developed.watched(), developed.following():
        for number in range(20):
            write(developed.remote, a=f"there {number}", old=f"there {number}")
            write(developed.local, a=f"here {number}")
            developed.look("a")
            await has(developed.remote / "a", f"here {number}")
            await developed.equal()
        await quiet(developed)
        kept = {path.read_text() for path in developed.local.glob("a.sync-conflict-*")}
    assert kept == {f"there {number}" for number in range(20)}
    assert len(developed.notices()) == 20


async def test_moved_file_that_the_container_changed_is_in_both_places(developed: Developed) -> None:
    write(developed.local, old="1")
    async with developed.watched(), developed.following():
        write(developed.remote, old="2")
        (developed.local / "old").rename(developed.local / "new")
        developed.look()
        await has(developed.local / "old", "2")
        await developed.equal()
    assert texts(developed.remote) == {"old": "2", "new": "1"}


async def test_move_to_where_the_container_has_something_in_the_way_is_done_in_the_end(developed: Developed) -> None:
    """The way is free once the container's file is kept beside; until then the old place must not be forgotten."""
    write(developed.local, old="1", sub__a="1")
    async with developed.watched(), developed.following():
        shutil.rmtree(developed.remote / "sub")
        write(developed.remote, sub="there")
        (developed.local / "old").rename(developed.local / "sub/new")
        developed.look()
        await has(developed.remote / "sub/new", "1")
        await developed.equal()
    assert not (developed.remote / "old").exists()


@pytest.mark.parametrize("side", ["local", "remote"])
async def test_folder_and_file_replace_each_other(developed: Developed, side: str) -> None:
    edited = developed.local if side == "local" else developed.remote
    write(developed.local, folder__x="1", folder__deep__y="1", file="1")
    async with developed.watched(), developed.following():
        shutil.rmtree(edited / "folder")
        write(edited, folder="now a file")
        (edited / "file").unlink()
        write(edited, file__x="now a folder")
        await developed.equal()
        await quiet(developed)
    assert texts(developed.local) == texts(developed.remote) == {"folder": "now a file", "file/x": "now a folder"}
    assert not developed.notices()


async def test_folder_of_the_container_gives_way_to_a_file_and_is_kept_beside(developed: Developed) -> None:
    write(developed.local, other="1")
    async with developed.watched(), developed.following():
        write(developed.remote, a__x="1", a__deep__y="2")
        write(developed.local, a="here")
        developed.look("a")
        await has(developed.remote / "a", "here")
        await quiet(developed)
        assert listing(developed.local) == listing(developed.remote)
    kept = {path: text for path, text in texts(developed.local).items() if is_beside(path)}
    assert {path.partition("/")[2]: text for path, text in kept.items()} == {"x": "1", "deep/y": "2"}


async def test_file_of_the_container_gives_way_to_a_changed_folder(developed: Developed) -> None:
    write(developed.local, a__x="1")
    async with developed.watched(), developed.following():
        shutil.rmtree(developed.remote / "a")
        write(developed.remote, a="there")
        write(developed.local, a__x="2")
        await has(developed.remote / "a/x", "2")
        await developed.equal()
    assert copies(developed.local) == {"a": "there"}


async def test_two_thousand_files_made_in_the_container_arrive(developed: Developed) -> None:
    async with developed.watched(), developed.following():
        write(developed.remote, **{f"made__{number % 20}__{number}": str(number) for number in range(2000)})
        await until(lambda: sum(1 for _ in developed.local.glob("made/*/*")) == 2000, every=0.2)
        await developed.equal()
        shutil.rmtree(developed.remote / "made")
        await until(lambda: not list(developed.local.iterdir()), every=0.2)
    assert not developed.notices()


async def test_large_file_arrives_in_parts_without_being_held(developed: Developed) -> None:
    content = os.urandom(1024 * 1024) * 40
    async with developed.watched(), developed.following():
        tracemalloc.start()
        (developed.remote / "large").write_bytes(content)
        await until(lambda: (developed.local / "large").exists(), timeout=20)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (developed.local / "large").read_bytes() == content
    assert peak < 8 * 1024 * 1024


async def test_large_file_on_its_way_holds_nothing_up(developed: Developed) -> None:
    (developed.folder / "large").write_bytes(b"x" * (2000 * protocol.CHUNK))
    async with developed.watched(), developed.following():
        (developed.folder / "large").rename(developed.remote / "large")
        await until(lambda: list(developed.local.glob(".loop-*")), timeout=20, every=0.001)
        write(developed.remote, small="1")
        write(developed.local, here="1")
        await has(developed.local / "small", "1")
        await has(developed.remote / "here", "1")
        assert not (developed.local / "large").exists()
        await until(lambda: (developed.local / "large").exists(), timeout=20)


async def test_large_file_that_changes_while_it_is_read_arrives_whole(developed: Developed) -> None:
    async with developed.watched(), developed.following():
        for number in range(10):
            (developed.remote / "large").write_bytes(bytes([number]) * (200 * protocol.CHUNK))
            await until(lambda: list(developed.local.glob(".loop-*")), timeout=20, every=0.001)
        await until(lambda: (developed.local / "large").exists(), timeout=20)
        seen = (developed.local / "large").read_bytes()
        assert seen == bytes([seen[0]]) * len(seen)
        await developed.equal(timeout=20)
        assert not list(developed.local.glob(".loop-*"))


async def test_executable_bits_are_carried_when_they_change(developed: Developed) -> None:
    write(developed.local, a="1", b="1", c="1")
    write(developed.remote, c="1")
    (developed.remote / "c").chmod(0o755)
    async with developed.watched(), developed.following():
        await quiet(developed)
        (developed.remote / "a").chmod(0o755)
        (developed.local / "b").chmod(0o755)
        await until(lambda: os.access(developed.local / "a", os.X_OK) and os.access(developed.remote / "b", os.X_OK))
        (developed.remote / "a").chmod(0o644)
        await until(lambda: (developed.local / "a").stat().st_mode & 0o777 == 0o644)
        write(developed.remote, d="1")
        (developed.remote / "c").chmod(0o775)
        await has(developed.local / "d", "1")
        await quiet(developed)
    assert (developed.local / "c").stat().st_mode & 0o777 == 0o644
    assert (developed.remote / "b").stat().st_mode & 0o777 == 0o755


async def test_cut_stream_goes_on_from_what_both_had(developed: Developed) -> None:
    write(developed.local, a="1", b="1", gone="1")
    (container,) = developed.containers
    async with developed.watched():
        with pytest.raises(Disconnected):
            async with container.connected() as connection, asyncio.TaskGroup() as tasks:
                await container.sync.bring_up_to_date(connection)
                (developed.remote / "large").write_bytes(b"x" * (300 * protocol.CHUNK))
                tasks.create_task(container.sync.follow(connection), name="follow")
                await until(lambda: list(developed.local.glob(".loop-*")), every=0.001)
                assert container.pipes
                container.pipes.process.send_signal(signal.SIGKILL)
        assert not list(developed.local.glob(".loop-*"))
        write(developed.remote, a="2")
        write(developed.local, b="2")
        (developed.remote / "gone").unlink()
        async with developed.following():
            await developed.equal()
            assert texts(developed.remote)["b"] == "2"
            assert texts(developed.local)["a"] == "2"
    assert not (developed.local / "gone").exists()
    assert not developed.notices()


async def test_lost_events_are_made_up_for(developed: Developed) -> None:
    write(developed.local, a="1", gone="1")
    async with developed.watched(), developed.following():
        told, developed.sync.on_changed = developed.sync.on_changed, lambda told: None  # type: ignore[method-assign]
        assert developed.pipes
        write(developed.remote, a="2", new__b="1")
        (developed.remote / "gone").unlink()
        developed.sync.on_changed = told  # type: ignore[method-assign]
        developed.sync.on_changed(protocol.Changed(0, protocol.Change.LOST, b"", b""))
        await developed.equal()
    assert texts(developed.local) == {"a": "2", "new/b": "1"}


async def test_folder_whose_removal_takes_long_deletes_nothing_here(developed: Developed) -> None:
    write(developed.local, **{f"file{number}": "1" for number in range(20)})
    before = texts(developed.local)
    async with developed.watched(), developed.following():
        for file in list(developed.remote.iterdir()):
            file.unlink()
            await asyncio.sleep(DOUBT_SECONDS / 4)
        developed.remote.rmdir()
        await until(developed.notices)
    assert texts(developed.local) == before


async def test_files_that_are_deleted_all_the_time_are_deleted_here_in_the_end(
    developed: Developed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubting, "HELD_SECONDS", 2 * DOUBT_SECONDS)
    write(developed.local, **{f"file{number}": "1" for number in range(1000)})
    async with developed.watched(), developed.following(), asyncio.TaskGroup() as tasks:

        async def delete() -> None:
            for file in list(developed.remote.iterdir()):
                file.unlink()
                await asyncio.sleep(DOUBT_SECONDS / 10)

        deleting = tasks.create_task(delete(), name="delete")
        await until(lambda: len(list(developed.local.iterdir())) < 1000)
        assert not deleting.done()
        deleting.cancel()


async def test_folder_that_is_gone_in_the_container_deletes_nothing_here(developed: Developed) -> None:
    write(developed.local, **{f"sub{number}__file{number}": "1" for number in range(200)})
    before = texts(developed.local)
    async with developed.watched(), developed.following():
        shutil.rmtree(developed.remote)
        await until(developed.notices)
        assert texts(developed.local) == before
        developed.remote.mkdir()
        await developed.equal(timeout=10)
        write(developed.remote, later="1")
        await has(developed.local / "later", "1")
    assert texts(developed.local) == before | {"later": "1"}
    (notice,) = developed.notices()
    assert f"{developed.remote} is gone in web-1/web" in notice.message


async def test_folder_that_is_gone_here_deletes_nothing_there_and_is_not_made(developed: Developed) -> None:
    write(developed.local, a="1", sub__b="1")
    async with developed.following():
        await developed.settle()
        developed.local.rename(developed.folder / "elsewhere")
        developed.look()
        write(developed.remote, a="2")
        await until(developed.notices)
        assert not developed.local.exists()
        assert texts(developed.remote) == {"a": "2", "sub/b": "1"}
        (developed.folder / "elsewhere").rename(developed.local)
        await developed.settle()
    assert texts(developed.local) == {"a": "2", "sub/b": "1"}


async def test_what_cannot_be_written_here_is_told_and_tried_with_the_next_change(developed: Developed) -> None:
    async with developed.watched(), developed.following():
        write(developed.folder, large="x" * 5000)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            (developed.folder / "large").rename(developed.remote / "large")
            await until(developed.notices)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        write(developed.local, other="1")
        await developed.equal()
    (notice,) = developed.notices()
    assert str(developed.local / "large") in notice.message
    assert "next change" in notice.hint


async def test_no_link_leads_out_of_the_folder(developed: Developed) -> None:
    outside = developed.folder / "outside"
    outside.mkdir()
    write(developed.local, sub__a="1")
    async with developed.watched(), developed.following():
        write(developed.remote, sub__new="1")
        shutil.rmtree(developed.local / "sub")
        (developed.local / "sub").symlink_to(outside)
        await quiet(developed)
    assert not list(outside.iterdir())


async def test_download_carries_nothing_to_the_container(tmp_path: Path) -> None:
    developed = Developed(tmp_path, path={"direction": "download", "initial": "preferRemote"})
    write(developed.remote, a="1", b="1", gone="1")
    async with developed.watched(), developed.following():
        assert texts(developed.local) == {"a": "1", "b": "1", "gone": "1"}
        write(developed.local, a="here", new="here")
        (developed.local / "gone").unlink()
        write(developed.remote, b="2")
        await has(developed.local / "b", "2")
        assert texts(developed.remote) == {"a": "1", "b": "2", "gone": "1"}
        write(developed.remote, a="there")
        await until(developed.notices)
        await quiet(developed)
    assert (developed.local / "a").read_text() == "here"
    assert copies(developed.local) == {"a": "there"}
    assert texts(developed.remote) == {"a": "there", "b": "2", "gone": "1"}


async def test_excluded_paths_are_carried_one_way_only(tmp_path: Path) -> None:
    path = {"direction": "both", "exclude_upload": ("up/",), "exclude_download": ("down/",)}
    developed = Developed(tmp_path, path=path)
    write(developed.local, up__a="1", down__a="1", x="1")
    async with developed.watched(), developed.following():
        write(developed.local, up__a="2", down__a="2", down__new="2")
        write(developed.remote, up__b="3", down__b="3")
        await has(developed.remote / "down/new", "2")
        await has(developed.local / "up/b", "3")
        (developed.local / "up/b").unlink()
        (developed.remote / "down/new").unlink()
        write(developed.local, x="2")
        await has(developed.remote / "x", "2")
        await quiet(developed)
    assert texts(developed.remote) == {"down/a": "2", "down/b": "3", "up/b": "3", "x": "2"}
    assert texts(developed.local) == {"down/a": "2", "down/new": "2", "up/a": "2", "x": "2"}


async def test_ignore_file_that_appears_in_a_folder_of_the_container_holds_there(developed: Developed) -> None:
    async with developed.watched(), developed.following():
        made = developed.folder / "made"
        write(made, **{".gitignore": "*\n", "a": "1", "deep__b": "1"})
        made.rename(developed.remote / ".cache")
        write(developed.remote, a="1")
        await has(developed.local / "a", "1")
        await quiet(developed)
    assert texts(developed.local) == {"a": "1"}


async def test_only_what_is_carried_is_watched(developed: Developed) -> None:
    write(developed.local, sub__a="1")
    write(developed.remote, **{"__pycache__/a": "1", ".git/objects/a": "1", "other/deep/a": "1"})
    async with developed.watched(), developed.following():
        await until(lambda: watches(developed) == 4)
        await quiet(developed)
        assert watches(developed) == 4


async def test_upload_alone_watches_and_lists_nothing(tmp_path: Path) -> None:
    developed = Developed(tmp_path)
    write(developed.local, sub__a="1")
    write(developed.remote, only__there="1")
    async with developed.watched(), developed.following():
        write(developed.local, sub__a="2")
        await has(developed.remote / "sub/a", "2")
        assert watches(developed) == 0
    assert texts(developed.local) == {"sub/a": "2"}


def watches(developed: Developed) -> int:
    """Folders that the helper watches."""
    assert developed.pipes
    places = Path(f"/proc/{developed.pipes.process.pid}/fdinfo").iterdir()
    return sum(place.read_text().count("inotify wd:") for place in places)


async def test_two_containers_have_what_either_changes(tmp_path: Path) -> None:
    developed = Developed(tmp_path, containers=2, path={"direction": "both"})
    first, second = (container.remote for container in developed.containers)
    write(developed.local, a="1", b="1")
    write(first, only__first="1")
    write(second, only__second="1")
    async with developed.watched(), developed.following():
        await developed.equal()
        write(first, a="2", new__c="2")
        await developed.equal()
        (second / "new/c").unlink()
        write(second, b="2")
        await developed.equal()
        await quiet(developed)
    assert texts(second) == {"a": "2", "b": "2", "only/first": "1", "only/second": "1"}
    assert not developed.notices()


async def test_two_containers_that_change_the_same_lose_neither(tmp_path: Path) -> None:
    developed = Developed(tmp_path, containers=2, path={"direction": "both"})
    first, second = (container.remote for container in developed.containers)
    write(developed.local, a="1")
    async with developed.watched(), developed.following():
        write(first, a="first")
        write(second, a="second")
        await until(developed.notices)
        await developed.equal()
        await quiet(developed)
    (winner,) = texts(first).values()
    assert {winner, *copies(developed.local).values()} == {"first", "second"}


async def test_single_file_is_carried_both_ways_without_what_is_beside_it(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    write(tmp_path / "local", conf="1", beside="1")
    developed = Developed(tmp_path, file="conf", path={"direction": "both"})
    write(developed.remote, conf="0", beside="there", sub__x="there")
    async with developed.watched(), developed.following():
        write(developed.remote, conf="2", beside="again")
        await has(developed.local / "conf", "2")
        write(developed.local, conf="3")
        await has(developed.remote / "conf", "3")
        write(developed.remote, conf="there")
        write(developed.local, conf="here")
        developed.look()
        await until(developed.notices)
        await has(developed.remote / "conf", "here")
        await quiet(developed)
        assert watches(developed) == 1
    assert copies(developed.local) == {"conf": "there"}
    assert texts(developed.remote) == {"conf": "here", "beside": "again", "sub/x": "there"}
    assert {path for path in texts(developed.local) if not is_beside(path)} == {"conf", "beside"}


async def test_names_of_any_bytes_are_carried(developed: Developed) -> None:
    name = os.fsdecode(b"new\nline \xff")
    async with developed.watched(), developed.following():
        write(developed.remote, **{name: "1", "sub__" + "n" * 250: "1"})
        await developed.equal()
        write(developed.remote, **{"sub__" + "n" * 250: "there"})
        write(developed.local, **{"sub__" + "n" * 250: "here"})
        developed.look()
        await until(developed.notices)
        await developed.equal()
    assert "there" in texts(developed.local).values()


@pytest.mark.parametrize("seed", range(3))
async def test_edits_of_both_sides_at_random_lose_nothing(developed: Developed, seed: int) -> None:
    """Both edit the same few paths at the same time; all that nobody gave up is there, as the file or beside it."""
    async with developed.watched(), developed.following():
        editors = await edit_at_random(developed, seed, edits=400)
    assert_nothing_lost(developed, editors)


async def test_edits_of_three_sides_at_random_lose_nothing(tmp_path: Path) -> None:
    developed = Developed(tmp_path, containers=2, path={"direction": "both"})
    async with developed.watched(), developed.following():
        editors = await edit_at_random(developed, 0, edits=400)
    assert_nothing_lost(developed, editors)


async def test_edits_at_random_lose_nothing_while_streams_are_cut(developed: Developed) -> None:
    (container,) = developed.containers

    async def keep() -> None:
        while True:
            with contextlib.suppress(Disconnected):
                async with container.connected() as connection:
                    await container.sync.bring_up_to_date(connection)
                    await container.sync.follow(connection)

    def cut(number: int) -> None:
        if number % 40 == 0 and container.pipes and container.pipes.process.returncode is None:
            container.pipes.process.send_signal(signal.SIGKILL)

    async with developed.watched(), asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(keep(), name="keep")
        # where both sides differ then, this machine's is sent
        await until(developed.synced, what="the first comparison")
        editors = await edit_at_random(developed, 0, edits=400, between=cut)
        keeping.cancel()
    assert_nothing_lost(developed, editors)


async def edit_at_random(
    developed: Developed, seed: int, *, edits: int, between: Callable[[int], None] = lambda number: None
) -> list[Editor]:
    """Edit all sides, and wait until they are equal."""
    sides = [developed.local, *(container.remote for container in developed.containers)]
    editors = []
    for number, side in enumerate(sides):
        side.mkdir(exist_ok=True)
        editors.append(Editor(side, developed.folder / f"trash {number}", seed + 1000 * number))
    choices = random.Random(seed)
    for number in range(edits):
        choices.choice(editors).edit()
        between(number)
        await asyncio.sleep(choices.choice((0, 0, 0, 0.001, 0.01)))
    await developed.equal(timeout=20)
    await quiet(developed)
    await developed.equal(timeout=20)
    return editors


def assert_nothing_lost(developed: Developed, editors: list[Editor]) -> None:
    written = set().union(*(editor.written for editor in editors))
    given_up = set().union(*(editor.given_up for editor in editors))
    assert written - given_up <= set(texts(developed.local).values())


async def quiet(developed: Developed) -> None:
    """Wait until nothing is carried any more, for longer than a deletion is doubted."""
    count = -1
    while count != len(developed.events):
        count = len(developed.events)
        await asyncio.sleep(2 * DOUBT_SECONDS)
