"""The commit that an environment's manifests are from, by the real git."""

from __future__ import annotations

from pathlib import Path

import pytest

from innerloop.gitops.environments.source_commit import NOWHERE
from innerloop.gitops.provenance import SourceCommit
from tests.environments.conftest import Shop, config_map


@pytest.fixture
def committed(shop: Shop) -> Shop:
    shop.write("deploy/a.yaml", config_map("a"))
    shop.commit("Sell cats\n\nAnd dogs.\n")
    return shop


async def source_of(shop: Shop) -> SourceCommit:
    return (await shop.render()).provenance.source


async def test_the_commit_is_told_with_its_author_and_message(committed: Shop) -> None:
    committed.git("remote", "add", "origin", "https://ann:token@git.example.com/shop.git")
    found = await source_of(committed)
    assert found.commit == committed.git("rev-parse", "HEAD")
    assert found.date == committed.git("log", "-1", "--format=%aI")
    assert (found.repository, found.author, found.subject, found.body, found.clean) == (
        "https://git.example.com/shop.git",
        "Ann <ann@example.com>",
        "Sell cats",
        "And dogs.",
        True,
    )


@pytest.mark.parametrize("name", ["deploy/a.yaml", "deploy/new.yaml", "env/dev.env", "loop.yaml"])
async def test_a_change_of_what_is_rendered_is_told(committed: Shop, name: str) -> None:
    file = committed.folder / name
    before = file.read_text() if file.exists() else config_map("b")
    file.write_text(before + "\n")
    assert (await source_of(committed)).clean is False


async def test_a_change_of_something_else_is_not(committed: Shop) -> None:
    committed.write("web/main.py", "print()\n")
    assert (await source_of(committed)).clean is True


async def test_values_that_git_ignores_are_in_no_commit(committed: Shop) -> None:
    committed.git("rm", "--quiet", "--cached", "env/dev.env")
    committed.write(".gitignore", "*.env\n")
    committed.commit("Keep values here")
    assert (await source_of(committed)).clean is False


async def test_ignored_files_that_a_hook_makes_are_no_changes(committed: Shop) -> None:
    committed.add("hooks: {before-render: 'cp deploy/a.yaml deploy/made.yaml; sed -i s/a,/b,/ deploy/made.yaml'}\n")
    committed.write("deploy/a.yaml", config_map("a", ", labels: {}"))
    committed.write(".gitignore", "made.yaml\n")
    committed.commit("Make one")
    assert len((await committed.render()).manifests) == 2
    assert (await source_of(committed)).clean is True


async def test_the_lock_is_no_change(committed: Shop) -> None:
    committed.write("loop.lock", "version: 1\n")
    assert (await source_of(committed)).clean is True


async def test_a_project_in_no_repository_has_no_commit(shop: Shop) -> None:
    shop.write("deploy/a.yaml", config_map("a"))
    assert (await source_of(shop), shop.warnings) == (NOWHERE, [])


async def test_a_repository_without_a_commit_has_none(shop: Shop) -> None:
    shop.write("deploy/a.yaml", config_map("a"))
    shop.git("init", "--quiet")
    assert await source_of(shop) == SourceCommit(repository="", commit="", clean=False)


async def test_without_git_the_manifests_are_rendered_all_the_same(
    committed: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (await source_of(committed), committed.warnings) == (NOWHERE, ["git is not on PATH"])
