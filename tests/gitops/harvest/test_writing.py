"""The patch into the files: all of it or nothing, never over somebody's work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from innerloop.errors import LoopError
from innerloop.gitops.harvest import patching
from innerloop.gitops.harvest.patching import Edited
from tests.e2e.loop_command import loop
from tests.gitops.harvest.conftest import WEB, Deployed


@pytest.fixture
async def repository(shop: Deployed) -> Deployed:
    """The project in a folder of a repository, all of it committed; deployed nowhere."""
    shop.folder = shop.folder / "services/shop"
    shop.write("loop.yaml", "name: shop\nmanifests:\n  - files: deploy/*.yaml\n")
    shop.write("deploy/web.yaml", WEB)
    await shop.git("init", "--quiet", "../..")
    await shop.git("add", "--all")
    await shop.git("commit", "--quiet", "--message", "all")
    return shop


def edited(shop: Deployed, old: str, new: str, name: str = "deploy/web.yaml") -> Edited:
    before = shop.read(name)
    return Edited(shop.folder / name, before, before.replace(old, new))


async def test_the_command_prints_a_patch_that_git_applies(
    repository: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(repository.kubeconfig))
    await repository.deploy()
    await repository.kubectl("scale", "deployment/web", "--replicas=2")
    done = await loop("harvest", "-n", repository.namespace, cwd=repository.folder)
    assert (done.code, done.stdout.splitlines()[0]) == (
        0,
        "diff --git a/services/shop/deploy/web.yaml b/services/shop/deploy/web.yaml",
    )
    await repository.git("apply", "-", input=done.stdout.encode())
    assert repository.read("deploy/web.yaml") == WEB.replace("replicas: 1", "replicas: 2")


async def test_the_command_writes_the_files(repository: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(repository.kubeconfig))
    await repository.deploy()
    await repository.kubectl("scale", "deployment/web", "--replicas=2")
    done = await loop("harvest", "--write", "-n", repository.namespace, cwd=repository.folder)
    assert (done.code, "written: deploy/web.yaml" in done.stderr) == (0, True)
    assert repository.read("deploy/web.yaml") == WEB.replace("replicas: 1", "replicas: 2")


async def test_what_has_no_place_ends_with_1(repository: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(repository.kubeconfig))
    repository.write("deploy/key.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {key: a}\n")
    await repository.deploy()
    await repository.kubectl("patch", "secret", "key", "-p", '{"data":{"key":"bmV3"}}')
    done = await loop("harvest", "-n", repository.namespace, cwd=repository.folder)
    assert (done.code, done.stdout) == (1, "")
    assert "✗ Secret/key data: *** → ***  (by kubectl-patch)" in done.stderr


async def test_a_line_with_an_uncommitted_change_is_not_written_over(repository: Deployed) -> None:
    repository.write("deploy/web.yaml", WEB.replace("replicas: 1", "replicas: 5"))
    with pytest.raises(LoopError, match=r"web\.yaml:6: this line has a change that is not committed"):
        await patching.write([edited(repository, "replicas: 5", "replicas: 2")], repository.folder.parents[1])
    assert "replicas: 5" in repository.read("deploy/web.yaml")


async def test_uncommitted_changes_of_other_lines_stay(repository: Deployed) -> None:
    repository.write("deploy/web.yaml", WEB.replace("Cats", "Mice"))
    await patching.write([edited(repository, "replicas: 1", "replicas: 2")], repository.folder.parents[1])
    assert repository.read("deploy/web.yaml") == WEB.replace("Cats", "Mice").replace("replicas: 1", "replicas: 2")


async def test_a_file_that_changed_meanwhile_is_not_written_over(repository: Deployed) -> None:
    edit = edited(repository, "replicas: 1", "replicas: 2")
    repository.write("deploy/web.yaml", "# mine\n")
    with pytest.raises(LoopError, match=r"web\.yaml: changed meanwhile"):
        await patching.write([edit], None)
    assert repository.read("deploy/web.yaml") == "# mine\n"


async def test_when_one_file_cannot_be_written_none_is(repository: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.write("other/b.yaml", "a: 1\n")
    edits = [edited(repository, "replicas: 1", "replicas: 2"), edited(repository, "a: 1", "a: 2", "other/b.yaml")]
    replace = os.replace

    def refuse(source: str, target: Path) -> None:
        if target.name == "b.yaml":
            raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(LoopError, match=r"No space left on device; nothing was changed"):
        await patching.write(edits, None)
    assert (repository.read("deploy/web.yaml"), sorted(os.listdir(repository.folder / "other"))) == (WEB, ["b.yaml"])


async def test_mode_and_line_ends_of_a_file_stay(repository: Deployed) -> None:
    file = repository.folder / "deploy/web.yaml"
    file.write_bytes(WEB.replace("\n", "\r\n").encode())
    file.chmod(0o640)
    before = file.read_bytes().decode()
    await patching.write([Edited(file, before, before.replace("replicas: 1", "replicas: 2"))], None)
    assert (file.read_bytes().decode(), file.stat().st_mode & 0o777) == (
        WEB.replace("replicas: 1", "replicas: 2").replace("\n", "\r\n"),
        0o640,
    )
