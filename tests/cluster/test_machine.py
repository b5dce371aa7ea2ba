from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from innerloop.cluster.builtin import machine
from innerloop.errors import LoopError


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with nothing but what the test puts into the folder."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine, "SYSTEM_PATH", str(tmp_path))
    monkeypatch.setattr(machine, "CNI_FOLDERS", (str(tmp_path / "cni"),))
    return tmp_path


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch(mode=0o755)


def test_missing_programs_are_told_as_packages_with_the_command(bare: Path) -> None:
    put(bare, "apt-get", "containerd", "ctr", "ip", "nice", "nsenter")
    with pytest.raises(LoopError) as caught:
        machine.check_packages()
    packages = "containernetworking-plugins nftables runc"
    assert f"apt-get update && apt-get install --yes --no-install-recommends {packages}" in (caught.value.hint or "")


def test_without_apt_the_packages_are_named_all_the_same(bare: Path) -> None:
    with pytest.raises(LoopError, match="containerd, containernetworking-plugins, coreutils, iproute2"):
        machine.check_packages()


def test_plugins_in_parts_are_not_enough(bare: Path) -> None:
    (bare / "cni").mkdir()
    put(bare / "cni", "ptp", "loopback")
    assert machine.cni_folder() is None
    put(bare / "cni", "host-local", "portmap")
    assert machine.cni_folder() == bare / "cni"


async def test_installing_runs_apt_get_and_shows_what_it_says(bare: Path) -> None:
    (bare / "apt-get").write_text('#!/bin/sh\necho "$DEBIAN_FRONTEND: $@"\n')
    (bare / "apt-get").chmod(0o755)
    os.symlink("/bin/sh", bare / "sh")
    put(bare, "containerd", "ctr", "ip", "nice", "nsenter", "nft", "runc", "skopeo", "debootstrap")
    lines: list[str] = []
    assert await machine.install_packages(lines.append) == ["buildah", "containernetworking-plugins"]
    assert lines == [
        "noninteractive: update",
        "noninteractive: install --yes --no-install-recommends buildah containernetworking-plugins",
    ]


async def test_an_installation_that_fails_is_told_with_its_output(bare: Path) -> None:
    (bare / "apt-get").write_text("#!/bin/sh\necho E: no network\nexit 100\n")
    (bare / "apt-get").chmod(0o755)
    with pytest.raises(LoopError, match="status 100") as caught:
        await machine.install_packages(lambda _: None)
    assert caught.value.detail == "E: no network"


def test_who_is_not_root_is_told_what_else_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LoopError, match="needs root") as caught:
        machine.check_possible()
    assert "--provider kind" in (caught.value.hint or "")


def test_another_system_than_linux_is_told_what_else_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(LoopError, match="needs Linux") as caught:
        machine.check_possible()
    assert "kind, k3d or minikube" in (caught.value.hint or "")
