"""Developing images that lack what other tools need: a shell, tar, root, a file system that can be written."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from pathlib import Path

import pytest

from innerloop.paths import cache_dir
from tests.e2e.conftest import MANIFEST, Sample
from tests.e2e.loop_command import developing, page
from tests.waiting import until

pytestmark = pytest.mark.cluster

SOURCE = Path(__file__).with_name("small_server.c")
SCRATCH = 'FROM scratch\nCOPY . /app\nCMD ["/app/server"]\n'
PLAIN = "        - name: web\n"
LOCKED = """\
        - name: web
          securityContext: {runAsUser: 1000, runAsNonRoot: true, readOnlyRootFilesystem: true}
          volumeMounts: [{name: app, mountPath: /app}]
"""


async def compile_server(place: Path, greeting: str) -> None:
    """A static program; put in place at once, as linkers do not."""
    defines = (f'-DGREETING="{greeting}"', '-DPAGE="/app/page.txt"')
    built = place.with_name(f"{place.name}.o~")
    command = ("-m", "ziglang", "cc", "-target", f"{platform.machine()}-linux-musl", "-static", "-Os", *defines)
    cache = str(cache_dir() / "zig")
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
    compiling = await asyncio.create_subprocess_exec(sys.executable, *command, "-o", built, SOURCE, env=environment)
    assert await compiling.wait() == 0
    built.rename(place)


async def shows(sample: Sample, text: str) -> None:
    async def there() -> bool:
        return await page(sample.url) == text

    await until(there, timeout=30, what=f"{text!r} on the page")


@pytest.mark.parametrize("container", [PLAIN, LOCKED], ids=["root", "other user and read-only"])
async def test_image_of_one_program_is_developed(sample: Sample, container: str) -> None:
    """The read-only one has an empty volume in the place of its program: that comes by sync."""
    for name in ("main.py", "Dockerfile"):
        (sample.folder / "web" / name).unlink()
    sample.write("web/Dockerfile", SCRATCH)
    sample.write("deploy/web.yaml", MANIFEST.replace(PLAIN, container))
    if container == LOCKED:
        sample.replace(
            "deploy/web.yaml", "      containers:", "      volumes: [{name: app, emptyDir: {}}]\n      containers:"
        )
    sample.replace("loop.yaml", '"**/*.py"', "server")
    await compile_server(sample.folder / "web/server", "one")
    async with developing(sample.folder) as session:
        await session.next("ready", timeout=120)
        await shows(sample, "one | first page")
        sample.write("web/page.txt", "second page")
        await shows(sample, "one | second page")
        behind = len(session.events)
        await compile_server(sample.folder / "web/server", "two")
        await shows(sample, "two | second page")
        assert session.done(behind=behind) == []
        assert [event for event in session.events if event["event"] == "notice" and event["level"] == "error"] == []


async def test_image_of_a_user_who_owns_its_folder_is_developed(sample: Sample) -> None:
    sample.write(
        "web/Dockerfile",
        "FROM python:3.12-slim\nWORKDIR /app\nCOPY --chown=1000 . .\nRUN chown 1000 /app\nUSER 1000\n"
        'CMD ["python", "main.py"]\n',
    )
    async with developing(sample.folder) as session:
        await session.next("ready", timeout=120)
        sample.write("web/page.txt", "second page")
        await shows(sample, "first program | second page | first title")
        sample.replace("web/main.py", "first program", "second program")
        await shows(sample, "second program | second page | first title")
        assert [event for event in session.events if event["event"] == "notice" and event["level"] == "error"] == []


async def test_image_of_a_user_who_may_not_write_is_told_with_the_mend(sample: Sample) -> None:
    sample.replace("web/Dockerfile", "CMD", "USER 1000\nCMD")
    async with developing(sample.folder) as session:
        await session.next("ready", timeout=120)
        sample.write("web/page.txt", "second page")
        notice = await session.next("notice", level="error")
        assert (
            "/app/page.txt: permission denied: the container's user is 1000, and /app belongs to 0:0"
            in (notice["message"])
        )
        assert "RUN chown -R 1000 /app" in notice["hint"]
