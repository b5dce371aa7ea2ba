"""Changes of real containers, on their way to this machine and to each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from innerloop.events import Notice, Synced
from innerloop.project import SyncPath
from tests.dev.conftest import Start
from tests.dev.sync_containers import listing
from tests.waiting import until

pytestmark = pytest.mark.cluster


async def test_two_replicas_and_this_machine_share_what_each_changes(start: Start, tmp_path: Path) -> None:
    paths = (SyncPath(local=tmp_path / "local", remote="/app", direction="both"),)
    service = await start(replicas=2, target={"sync": paths})
    first, second = service.containers
    write = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    await service.run(first, "python", "-c", write, "/app/first.txt", "1")
    await service.run(second, "python", "-c", write, "/app/second.txt", "2")
    (service.local / "here.txt").write_text("3")
    await until(lambda: {"first.txt", "second.txt"} <= listing(service.local).keys())
    await service.settle(2)
    await service.run(second, "rm", "/app/first.txt")
    (service.local / "second.txt").write_text("from here")
    await until(lambda: "first.txt" not in listing(service.local))
    await service.settle(2)
    assert not service.of(Notice)
    assert {batch.direction for batch in service.of(Synced)} == {"up", "down"}


async def test_restarted_container_gets_what_its_former_one_gave(start: Start, tmp_path: Path) -> None:
    """Its file system begins anew: nothing of what it lacks is deleted here."""
    paths = (SyncPath(local=tmp_path / "local", remote="/app", direction="both"),)
    service = await start(target={"sync": paths})
    (former,) = service.containers
    write = "import pathlib; [pathlib.Path(f'/app/made{n}.txt').write_text(str(n)) for n in range(50)]"
    await service.run(former, "python", "-c", write)
    await until(lambda: len(listing(service.local)) == 51)
    await service.end(former)
    await until(lambda: former not in service.containers, timeout=60)
    await service.settle()
    assert len(listing(service.local)) == 51
    assert not service.of(Notice)
