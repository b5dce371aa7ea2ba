"""Names that differ by case only, in a container whose file system takes them for one: a real one, exFAT by FUSE."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.sync_containers import Developed
from tests.waiting import until

PROGRAMS = ("mount.exfat-fuse", "mkfs.exfat")
INSTALL = ["apt-get", "install", "--yes", "--no-install-recommends", "exfat-fuse", "exfatprogs"]


@pytest.fixture(scope="session")
def exfat() -> None:
    """The programs for it are installed if need be, which takes root."""
    if all(shutil.which(program) for program in PROGRAMS):
        return
    assert os.getuid() == 0, f"{PROGRAMS} are not there: {' '.join(INSTALL)}"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], INSTALL):
        subprocess.run(command, check=True, capture_output=True, env=environment)


@contextlib.contextmanager
def mounted(folder: Path, image: Path) -> Iterator[None]:
    with image.open("wb") as file:
        file.truncate(16 * 1024 * 1024)
    subprocess.run(["mkfs.exfat", image], check=True, capture_output=True)
    folder.mkdir()
    attach = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True)
    device = attach.stdout.strip()
    try:
        subprocess.run(["mount.exfat-fuse", device, folder], check=True, capture_output=True)
        try:
            yield
        finally:
            subprocess.run(["umount", folder], check=True)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


@pytest.fixture(params=["upload", "both"])
def developed(request: pytest.FixtureRequest, exfat: None, tmp_path: Path) -> Iterator[Developed]:
    developed = Developed(tmp_path, path={"direction": request.param})
    with mounted(developed.remote, tmp_path / "exfat"):
        yield developed


def texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def write(developed: Developed, **files: str) -> None:
    for name, content in files.items():
        path = developed.local / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    developed.look()


async def has(developed: Developed, **files: str) -> None:
    wanted = {name.replace("__", "/").lower(): content for name, content in files.items()}

    def there() -> bool:
        return {name.lower(): content for name, content in texts(developed.remote).items()} == wanted

    await until(there, timeout=10, what=f"{wanted} in the container")


async def test_first_of_two_names_is_synced_and_the_other_one_told(developed: Developed) -> None:
    write(developed, Readme="lower", README="upper", other="1")
    async with developed.following():
        (notice,) = await until(developed.notices)
        assert f"{developed.remote}/Readme: it is the same file there as README, which is synced" in notice.message
        await has(developed, README="upper", other="1")
        write(developed, Readme="lower again")
        write(developed, other="2")
        await has(developed, README="upper", other="2")
    assert developed.notices() == [notice]
    assert texts(developed.local) == {"Readme": "lower again", "README": "upper", "other": "2"}


async def test_newcomer_leaves_what_is_there_alone(developed: Developed) -> None:
    write(developed, Readme="first")
    async with developed.following():
        write(developed, README="newcomer")
        (notice,) = await until(developed.notices)
        await has(developed, Readme="first")
    assert "/README: it is the same file there as Readme" in notice.message


async def test_other_one_takes_the_place_of_the_first_when_that_goes(developed: Developed) -> None:
    write(developed, Readme="lower", README="upper")
    async with developed.following():
        await until(developed.notices)
        (developed.local / "README").unlink()
        developed.look()
        await has(developed, Readme="lower")
    assert texts(developed.local) == {"Readme": "lower"}


async def test_deletion_of_the_one_that_is_not_synced_deletes_nothing(developed: Developed) -> None:
    write(developed, Readme="lower", README="upper")
    async with developed.following():
        await until(developed.notices)
        (developed.local / "Readme").unlink()
        write(developed, other="1")
        await has(developed, README="upper", other="1")
    assert texts(developed.local) == {"README": "upper", "other": "1"}


async def test_change_of_case_and_content_keeps_the_file(developed: Developed) -> None:
    write(developed, Readme="old", src__a="old", src__empty="")
    async with developed.following():
        await has(developed, Readme="old", src__a="old", src__empty="")
        (developed.local / "Readme").rename(developed.local / "README")
        (developed.local / "src").rename(developed.local / "Src")
        write(developed, README="new", Src__a="new", done="1")
        await has(developed, README="new", Src__a="new", Src__empty="", done="1")
    assert developed.notices() == []
    assert texts(developed.local) == {"README": "new", "Src/a": "new", "Src/empty": "", "done": "1"}


async def test_reconnecting_changes_nothing(developed: Developed) -> None:
    write(developed, Readme="same", README="same")
    for _ in range(2):
        async with developed.following():
            await has(developed, README="same")
            write(developed, README="same")
    assert len(developed.notices()) == 1
    assert texts(developed.local) == {"Readme": "same", "README": "same"}


async def test_container_that_tells_them_apart_has_both(tmp_path: Path) -> None:
    developed = Developed(tmp_path)
    write(developed, Readme="lower", README="upper")
    async with developed.following():
        await developed.equal()
        (developed.local / "Readme").rename(developed.local / "ReadMe")
        await developed.settle()
    assert developed.notices() == []
