"""The files of a session's targets: known before there is a container, kept as long as they are the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from innerloop.dev.sync.local_files import LocalFiles
from innerloop.engine.target_files import TargetFiles
from innerloop.errors import LoopError
from innerloop.events import Event, Notice
from innerloop.project import DevTarget, SyncPath


class Session:
    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.events: list[Event] = []
        self.files = TargetFiles(group, self.events.append)

    def make(self, target: DevTarget) -> LocalFiles:
        return LocalFiles(target, self.events.append)

    def keep(self, target: DevTarget) -> LocalFiles:
        return self.files.keep([target], self.make)[target.name]


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    async with asyncio.TaskGroup() as group:
        session = Session(group)
        yield session
        session.files.keep((), session.make)


def target(folder: Path, *, remote: str = "/app", restart: tuple[str, ...] = ()) -> DevTarget:
    return DevTarget(name="web", sync=(SyncPath(local=folder, remote=remote),), restart=restart)


async def test_what_is_there_is_known_before_anyone_asks(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    session.files.begin([target(tmp_path)], session.make)
    files = session.keep(target(tmp_path))
    await files.wait_looked()
    assert {key.path for key in files.tree.entries} == {b"", b"a.py"}


async def test_what_is_still_to_be_made_is_looked_at_when_it_is_needed(session: Session, tmp_path: Path) -> None:
    session.files.begin([target(tmp_path / "later")], session.make)
    (tmp_path / "later").mkdir()
    await session.keep(target(tmp_path / "later")).wait_looked()
    assert not session.events


async def test_what_does_not_change_goes_on(session: Session, tmp_path: Path) -> None:
    files = session.keep(target(tmp_path))
    assert session.keep(target(tmp_path, restart=("*.py",))) is files
    assert session.keep(target(tmp_path, remote="/elsewhere")) is not files


async def test_a_folder_that_is_missing_is_told_once_and_tried_again(session: Session, tmp_path: Path) -> None:
    for _ in range(2):
        files = session.keep(target(tmp_path / "missing"))
        with pytest.raises(LoopError, match="does not exist"):
            await files.wait_failed()
        with pytest.raises(LoopError, match="does not exist"):
            await files.wait_looked()
    assert len([event for event in session.events if isinstance(event, Notice)]) == 2
