"""Folders that the helper lists and watches, as a real process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from innerloop.dev.sync_protocol import Change, Changed
from tests.native.connecting import Helper, helper_on


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
async def watching(helper: Path, root: Path) -> AsyncIterator[Helper]:
    async with helper_on(helper, [root]) as started:
        yield started


async def test_written_file_is_told_once_when_it_is_closed(watching: Helper, root: Path) -> None:
    await watching.watch(b"")
    with (root / "a.txt").open("wb", buffering=0) as file:
        file.write(b"half")
        (root / "link").symlink_to("x")
        await watching.until_told(b"", b"link")
        assert watching.told(b"", b"a.txt") == 0
        file.write(b"whole")
    await watching.until_told(b"", b"a.txt")
    assert watching.changes == [Changed(0, Change.NAME, b"", b"link"), Changed(0, Change.NAME, b"", b"a.txt")]


async def test_renamed_folder_is_gone_with_all_below(watching: Helper, root: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    await watching.watch(b"", b"a", b"a/b")
    (root / "a").rename(root / "c")
    await watching.until_told(b"", b"c")
    await watching.until_gone(b"a")
    (root / "c/b/file").touch()
    (root / "end").touch()
    await watching.until_told(b"", b"end")
    assert {changed.folder for changed in watching.changes} == {b"", b"a"}
    await watching.watch(b"c", b"c/b")
    (root / "c/b/file").write_text("x")
    await watching.until_told(b"c/b", b"file")
