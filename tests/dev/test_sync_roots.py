"""What happens to the synced folders themselves, and floods of changes in them: watched, and synced to a real pod."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from innerloop.events import Notice
from innerloop.kube.client import Client
from innerloop.project import SyncPath
from tests.dev.conftest import Start
from tests.dev.service import Service, developed
from tests.waiting import until

pytestmark = pytest.mark.cluster


async def has(service: Service, path: str, content: str) -> None:
    """Returns once the container has this."""
    (container,) = service.containers

    async def equal() -> bool:
        return await service.run(container, "sh", "-c", f"cat {path} 2>/dev/null || true") == content.encode()

    await until(equal, timeout=10, what=f"{path} is {content!r}")


async def test_root_that_goes_is_told_and_its_return_is_synced(start: Start) -> None:
    service = await start()
    (service.local / "sub").mkdir()
    (service.local / "sub/a").write_text("1")
    await service.settle()
    service.local.rename(service.local.with_name("away"))
    (notice,) = await until(lambda: service.of(Notice))
    assert notice.message == f"web: {service.local} is gone; containers keep what they have of it"
    await has(service, "/app/sub/a", "1")
    service.local.mkdir()
    (service.local / "new").write_text("2")
    await service.settle()
    shutil.rmtree(service.local)
    service.local.with_name("away").rename(service.local)
    (service.local / "sub/a").write_text("3")
    await service.settle()


async def test_root_that_is_a_link_follows_where_it_leads(start: Start, tmp_path: Path) -> None:
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a").write_text(version)
    (tmp_path / "two/server.py").write_text("")
    (tmp_path / "local").symlink_to("one")
    service = await start()
    (tmp_path / "one/a").write_text("one, edited")
    await has(service, "/app/a", "one, edited")
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(tmp_path / "local")
    await has(service, "/app/a", "two")
    (tmp_path / "two/a").write_text("two, edited")
    await has(service, "/app/a", "two, edited")


@pytest.mark.parametrize("way", ["in place", "rename over", "delete and create"])
async def test_root_that_is_a_file_is_synced_alone(start: Start, tmp_path: Path, way: str) -> None:
    (tmp_path / "settings.ini").write_text("1")
    (tmp_path / "beside").write_text("x")
    single = SyncPath(local=tmp_path / "settings.ini", remote="/etc/web.ini")
    service = await start(target={"sync": (SyncPath(local=tmp_path / "local", remote="/app"), single)})
    await has(service, "/etc/web.ini", "1")
    for content in ("22", "33"):
        if way == "rename over":
            (tmp_path / "other").write_text(content)
            (tmp_path / "other").rename(tmp_path / "settings.ini")
        else:
            if way == "delete and create":
                (tmp_path / "settings.ini").unlink()
            (tmp_path / "settings.ini").write_text(content)
        await has(service, "/etc/web.ini", content)
    (container,) = service.containers
    assert b"beside" not in await service.run(container, "ls", "/etc")


async def test_root_inside_of_another_covers_it_like_a_mount(start: Start, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/a").write_text("shared")
    (tmp_path / "local/lib").mkdir(parents=True)
    (tmp_path / "local/lib/a").write_text("covered")
    paths = (
        SyncPath(local=tmp_path / "shared", remote="/app/lib"),
        SyncPath(local=tmp_path / "local", remote="/app"),
        SyncPath(local=tmp_path / "local/lib", remote="/srv/lib"),
    )
    service = await start(target={"sync": paths})
    await has(service, "/app/lib/a", "shared")
    (tmp_path / "local/lib/a").write_text("covered, edited")
    await has(service, "/srv/lib/a", "covered, edited")
    await has(service, "/app/lib/a", "shared")
    shutil.rmtree(tmp_path / "local/lib")
    (tmp_path / "local/mark").write_text("1")
    await has(service, "/app/mark", "1")
    await has(service, "/app/lib/a", "shared")


FLOOD = """
import os, sys
places = [f"{sys.argv[1]}/{number}" for number in range(500)]
for number in range(99_500):
    # closing tells, whether something was written or not
    os.close(os.open(places[number % 500], os.O_WRONLY | os.O_CREAT))
for place in places:
    with open(place, "w") as file:
        file.write("done")
"""


async def test_a_hundred_thousand_events_at_once_are_endured(start: Start) -> None:
    service = await start()
    flood = await asyncio.create_subprocess_exec(sys.executable, "-c", FLOOD, service.local)
    assert await flood.wait() == 0
    await service.settle()
    assert service.of(Notice) == []


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


async def test_file_that_may_not_be_read_is_told_and_synced_when_it_may(
    client: Client, namespace: str, open_folder: Path
) -> None:
    async with developed(client, namespace, open_folder / "local") as service:
        (open_folder / "local").chmod(0o777)
        os.seteuid(65534)
        try:
            secret = service.local / "secret"
            secret.touch(mode=0o000)
            secret.with_name("open").write_text("1")
            await has(service, "/app/open", "1")
            (notice,) = await until(lambda: service.of(Notice))
            assert notice.message == f"web: {secret} cannot be read: Permission denied"
            secret.chmod(0o644)
            await has(service, "/app/secret", "")
            secret.write_text("now")
            await has(service, "/app/secret", "now")
        finally:
            os.seteuid(0)
        assert len(service.of(Notice)) == 1


async def test_edit_by_one_name_reaches_all_names_of_a_file(start: Start) -> None:
    service = await start()
    (service.local / "sub").mkdir()
    (service.local / "a").write_text("1")
    await service.settle()
    os.link(service.local / "a", service.local / "sub/b")
    await service.settle()
    (service.local / "sub/b").write_text("2")
    await has(service, "/app/a", "2")
    (service.local / "a").write_text("3")
    await has(service, "/app/sub/b", "3")


async def test_folder_that_is_made_anew_in_the_container_is_written_to(start: Start) -> None:
    service = await start()
    (container,) = service.containers
    (service.local / "a").write_text("1")
    await service.settle()
    await service.run(container, "sh", "-c", "rm -r /app && mkdir /app")
    (service.local / "a").write_text("2")
    await has(service, "/app/a", "2")
    assert service.of(Notice) == []
