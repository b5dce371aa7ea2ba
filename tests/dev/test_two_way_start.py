"""The first comparison of a session, for every strategy and direction, and those that follow it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from innerloop.dev.sync import protocol
from innerloop.project import Direction, Strategy
from tests.dev.sync_containers import Developed
from tests.dev.test_two_way import copies, has, texts, write

LOCAL, REMOTE = {"same": "0", "both": "here", "here": "1"}, {"same": "0", "both": "there", "there": "2"}
BOTH_HERE = {"both": "here"}
BOTH_THERE = {"both": "there"}
ONLY_HERE = {"here": "1"}
ONLY_THERE = {"there": "2"}
SAME = {"same": "0"}
UNION = SAME | ONLY_HERE | ONLY_THERE


async def begin(developed: Developed) -> None:
    developed.look()
    async with developed.connected() as connection:
        await developed.sync.bring_up_to_date(connection)


@pytest.mark.parametrize(
    ("direction", "strategy", "here", "there"),
    [
        ("upload", "preferLocal", LOCAL, UNION | BOTH_HERE),
        ("upload", "preferNewest", LOCAL, UNION | BOTH_HERE),
        ("upload", "mirrorLocal", LOCAL, LOCAL),
        ("upload", "keepAll", LOCAL, UNION | BOTH_THERE),
        ("download", "preferLocal", UNION | BOTH_HERE, REMOTE),
        ("download", "preferRemote", UNION | BOTH_THERE, REMOTE),
        ("download", "preferNewest", UNION | BOTH_HERE, REMOTE),
        ("download", "mirrorRemote", REMOTE, REMOTE),
        ("download", "keepAll", UNION | BOTH_HERE, REMOTE),
        ("both", "preferLocal", UNION | BOTH_HERE, UNION | BOTH_HERE),
        ("both", "preferRemote", UNION | BOTH_THERE, UNION | BOTH_THERE),
        ("both", "preferNewest", UNION | BOTH_HERE, UNION | BOTH_HERE),
        ("both", "mirrorLocal", LOCAL, LOCAL),
        ("both", "mirrorRemote", REMOTE, REMOTE),
        ("both", "keepAll", UNION | BOTH_HERE, UNION | BOTH_THERE),
    ],
)
async def test_strategies(
    tmp_path: Path, direction: Direction, strategy: Strategy, here: dict[str, str], there: dict[str, str]
) -> None:
    developed = Developed(tmp_path, path={"direction": direction, "initial": strategy})
    write(developed.local, **LOCAL)
    write(developed.remote, **REMOTE)
    os.utime(developed.remote / "both", (0, 0))
    await begin(developed)
    assert texts(developed.local) == here
    assert texts(developed.remote) == there


@pytest.mark.parametrize(
    ("direction", "here", "there"),
    [("upload", "old", "new"), ("download", "new", "new"), ("both", "new", "new")],
)
async def test_newer_file_of_the_container_is_preferred(
    tmp_path: Path, direction: Direction, here: str, there: str
) -> None:
    developed = Developed(tmp_path, path={"direction": direction, "initial": "preferNewest"})
    write(developed.local, a="old")
    write(developed.remote, a="new")
    os.utime(developed.local / "a", (time.time() - 10, time.time() - 10))
    await begin(developed)
    assert ((developed.local / "a").read_text(), (developed.remote / "a").read_text()) == (here, there)


@pytest.mark.parametrize("strategy", ["preferRemote", "mirrorRemote"])
async def test_what_gives_way_here_is_kept_and_told(tmp_path: Path, strategy: Strategy) -> None:
    developed = Developed(tmp_path, path={"direction": "both", "initial": strategy})
    write(developed.local, a="here", sub__b="here", sub__c="only here")
    write(developed.remote, a="there", sub__b="there")
    await begin(developed)
    (kept,) = (tmp_path / ".loop/replaced").iterdir()
    assert texts(kept / "local") == {"a": "here", "sub/b": "here"} | (
        {"sub/c": "only here"} if strategy == "mirrorRemote" else {}
    )
    (notice,) = developed.notices()
    assert str(kept) in notice.detail


async def test_mirroring_a_container_without_the_folder_deletes_nothing(tmp_path: Path) -> None:
    developed = Developed(tmp_path, path={"direction": "both", "initial": "mirrorRemote"})
    write(developed.local, a="1")
    await begin(developed)
    assert texts(developed.local) == texts(developed.remote) == {"a": "1"}


async def test_excludes_keep_a_side_as_it_is(tmp_path: Path) -> None:
    path = {"direction": "both", "initial": "mirrorLocal", "exclude_upload": ("up/",), "exclude_download": ("down/",)}
    developed = Developed(tmp_path, path=path)
    write(developed.local, a="1", up__a="here", up__b="here", down__a="here", down__b="here")
    write(developed.remote, b="2", up__a="there", up__c="there", down__a="there", down__c="there")
    await begin(developed)
    assert texts(developed.local) == {"a": "1", "up/a": "here", "up/b": "here", "down/a": "here", "down/b": "here"}
    assert texts(developed.remote) == {
        "a": "1",
        "up/a": "there",
        "up/c": "there",
        "down/a": "here",
        "down/b": "here",
        "down/c": "there",
    }


async def test_ignored_folders_of_the_container_stay_there(tmp_path: Path) -> None:
    developed = Developed(tmp_path, path={"direction": "both", "initial": "mirrorLocal"})
    write(developed.local, **{".gitignore": "build/\n"})
    write(developed.remote, build__a="1", **{"x.log": "1", "__pycache__/a": "1", ".git/config": "1"})
    write(developed.remote, **{".cache/.gitignore": "*", ".cache/a": "1"})
    before = texts(developed.remote)
    developed.reread_rules()
    await begin(developed)
    assert texts(developed.local) == {".gitignore": "build/\n"}
    assert texts(developed.remote) == before | {".gitignore": "build/\n"}


async def test_stream_that_is_opened_again_merges_with_what_both_had(tmp_path: Path) -> None:
    developed = Developed(tmp_path, path={"direction": "both", "initial": "mirrorRemote"})
    write(developed.remote, a="1", b="1", gone_here="1", gone_there="1", both="1")
    await begin(developed)
    write(developed.local, a="2", both="2", new_here="1")
    write(developed.remote, b="2", both="3", new_there="1")
    (developed.local / "gone_here").unlink()
    (developed.remote / "gone_there").unlink()
    developed.look()
    async with developed.following():
        await developed.equal()
        there = texts(developed.remote)
    assert there == {"a": "2", "b": "2", "both": "2", "new_here": "1", "new_there": "1"}
    assert copies(developed.local) == {"both": "3"}


async def test_new_container_gets_what_is_here_and_gives_what_only_it_has(tmp_path: Path) -> None:
    developed = Developed(tmp_path, path={"direction": "both", "initial": "preferRemote"})
    write(developed.remote, a="1", gone="1", made="1")
    await begin(developed)
    write(developed.local, a="2")
    (developed.local / "gone").unlink()
    developed.look()
    write(developed.remote, a="image", gone="image", new="image")
    (developed.remote / "made").unlink()
    developed.containers[0].renew()
    await begin(developed)
    assert texts(developed.local) == texts(developed.remote) == {"a": "2", "made": "1", "new": "image"}


async def test_new_container_keeps_apart_what_was_kept_apart(tmp_path: Path) -> None:
    developed = Developed(tmp_path, path={"direction": "both", "initial": "keepAll"})
    write(developed.local, untouched="here", saved="here")
    write(developed.remote, untouched="there", saved="there")
    await begin(developed)
    write(developed.local, saved="again")
    developed.containers[0].renew()
    await begin(developed)
    assert texts(developed.remote) == {"untouched": "there", "saved": "again"}


@pytest.mark.parametrize("direction", ["upload", "both"])
async def test_what_was_kept_apart_is_sent_from_its_first_change_on(tmp_path: Path, direction: Direction) -> None:
    developed = Developed(tmp_path, path={"direction": direction, "initial": "keepAll"})
    write(developed.local, a="here")
    write(developed.remote, a="there")
    async with developed.watched(), developed.following():
        for text in ("changed", "here"):
            write(developed.local, a=text)
            await has(developed.remote / "a", text)


async def test_a_stream_that_is_opened_again_mirrors_nothing(tmp_path: Path) -> None:
    developed = Developed(tmp_path, path={"direction": "upload", "initial": "mirrorLocal"})
    write(developed.local, a="1")
    await begin(developed)
    write(developed.remote, made__since="1")
    await begin(developed)
    assert (developed.remote / "made/since").exists()


async def test_every_new_container_mirrors_this_machine(tmp_path: Path) -> None:
    developed = Developed(tmp_path, containers=2, path={"direction": "upload", "initial": "mirrorLocal"})
    write(developed.local, a="1")
    for container in developed.containers:
        write(container.remote, a="0", of__the__image="1")
    developed.look()
    async with developed.following():
        for container in developed.containers:
            assert texts(container.remote) == {"a": "1"}
    assert not (developed.remote / "of").exists()


async def test_first_comparison_sends_nothing_that_is_there_already(tmp_path: Path) -> None:
    developed = Developed(tmp_path, path={"direction": "both"})
    for folder in (developed.local, developed.remote):
        write(folder, **{f"sub__file{number}": "x" * 5000 for number in range(300)})
    await begin(developed)
    assert developed.pipes
    assert developed.pipes.written < 300 * 100
    assert [(batch.direction, batch.files) for batch in developed.synced()] == [("up", 0)]


async def test_clock_of_the_container_is_set_right_for_the_newest(tmp_path: Path) -> None:
    """As the helper would tell with a clock that is an hour ahead: a file of a minute ago looks newer than it is."""
    developed = Developed(tmp_path, path={"direction": "both", "initial": "preferNewest"})
    write(developed.local, a="here")
    write(developed.remote, a="there")
    ahead = time.time() + 3600 - 60
    os.utime(developed.remote / "a", (ahead, ahead))
    developed.look()
    async with developed.connected() as connection:
        greet = connection.greet

        async def greet_ahead() -> protocol.Welcome:
            welcome = await greet()
            return welcome._replace(clock=welcome.clock + 3600 * 10**9)

        connection.greet = greet_ahead  # type: ignore[method-assign]
        await developed.sync.bring_up_to_date(connection)
    assert texts(developed.local) == texts(developed.remote) == {"a": "here"}
