from __future__ import annotations

from pathlib import Path

import pytest

from innerloop import processes
from innerloop.deploy.identity import Owner, identify, repository_name


async def git(folder: Path, *arguments: str) -> None:
    await processes.run(["git", "-C", str(folder), *arguments])


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/acme/shop.git",
        "https://ann:secret@GitHub.com/acme/shop",
        "git@github.com:acme/shop.git",
        "ssh://git@github.com:22/acme/shop.git/",
        "github.com:acme/shop",
    ],
)
def test_all_addresses_of_a_repository_have_one_name(url: str) -> None:
    assert repository_name(url, "services/vote/\n", "laptop") == "github.com/acme/shop//services/vote"


@pytest.mark.parametrize("url", ["/srv/git/shop.git", "file:///srv/git/shop.git"])
def test_repository_by_path_belongs_to_its_machine(url: str) -> None:
    assert repository_name(url, "", "laptop") == "laptop/srv/git/shop"


async def test_clones_of_one_repository_are_the_same_project(tmp_path: Path) -> None:
    owners = []
    for name in ("mine", "yours"):
        (tmp_path / name / "web").mkdir(parents=True)
        await git(tmp_path / name, "init", "-q")
        await git(tmp_path / name, "remote", "add", "origin", "git@github.com:acme/shop.git")
        owners.append(await identify(tmp_path / name / "web"))
    assert owners[0].is_same(owners[1])
    assert owners[0].repository == "github.com/acme/shop//web"


async def test_other_folder_without_remote_is_another_project(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert not (await identify(tmp_path / "a")).is_same(await identify(tmp_path / "b"))


def test_folder_that_got_a_remote_stays_the_same_project() -> None:
    before = Owner(repository="", origin="ann@laptop:/src/vote")
    after = Owner(repository="github.com/acme/vote", origin="root@laptop:/src/vote")
    assert after.is_same(before)


def test_same_folder_on_other_machine_is_another_project() -> None:
    assert not Owner("", "ann@laptop:/src/vote").is_same(Owner("", "ann@desktop:/src/vote"))
