"""Compiling with the real Go, of a small module in the place of the node's."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from innerloop.cluster import compiling
from innerloop.cluster.compiling import compile_node
from innerloop.errors import LoopError
from innerloop.events import Event, StepDone, StepProgress
from tests.waiting import until

MAIN = 'package main\n\nfunc main() { println("node") }\n'


def nothing(event: Event) -> None:
    pass


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "source"
    for program in (".", "keeper", "pause", "tools"):
        (folder / program).mkdir(parents=True, exist_ok=True)
        (folder / program / "main.go").write_text(MAIN)
    # the names that versions are read from; nothing is downloaded as nothing imports them
    requires = "require (\n\tk8s.io/kubernetes v1.36.3\n\thelm.sh/helm/v4 v4.2.3\n)\n"
    replaces = "replace k8s.io/kubernetes => ./empty\n\nreplace helm.sh/helm/v4 => ./empty/helm\n"
    (folder / "go.mod").write_text(f"module example.com/node\n\ngo 1.26\n\n{requires}\n{replaces}")
    (folder / "go.sum").touch()
    (folder / "empty" / "helm").mkdir(parents=True)
    for empty in ("empty", "empty/helm"):
        (folder / empty / "go.mod").write_text("module example.com/empty\n")
    monkeypatch.setattr(compiling, "sources", lambda: folder)
    # Go's own cache stays, or each test would compile the standard library
    go_cache = subprocess.run(["go", "env", "GOCACHE"], check=True, capture_output=True, text=True).stdout.strip()
    monkeypatch.setenv("GOCACHE", go_cache)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def cached(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache" / "innerloop" / "node").glob("*"))


async def test_every_component_is_a_link_to_a_program_that_runs(source: Path) -> None:
    programs = await compile_node(nothing)
    for path in (programs.keeper, programs.pause, programs.folder / "kubelet", programs.user / "helm"):
        assert os.access(path, os.X_OK)


async def test_the_same_sources_are_compiled_once(source: Path) -> None:
    events: list[Event] = []
    first = await compile_node(nothing)
    assert await compile_node(events.append) == first
    assert events == []


async def test_changed_sources_are_compiled_anew(source: Path) -> None:
    first = await compile_node(nothing)
    (source / "main.go").write_text(MAIN.replace("node", "changed"))
    assert await compile_node(nothing) != first


async def test_a_second_at_the_same_time_waits_for_the_first(source: Path) -> None:
    events: list[Event] = []
    first, second = await asyncio.gather(compile_node(events.append), compile_node(events.append))
    assert first == second
    assert any(isinstance(event, StepProgress) and "another process" in event.message for event in events)
    done = [event.summary for event in events if isinstance(event, StepDone)]
    assert sorted(summary.split()[0] for summary in done) == ["compiled", "kept"]


async def test_what_the_compiler_says_is_the_cause(source: Path, tmp_path: Path) -> None:
    (source / "keeper" / "main.go").write_text(MAIN.replace("println", "pintln"))
    with pytest.raises(LoopError) as caught:
        await compile_node(nothing)
    assert "undefined: pintln" in (caught.value.detail or "")
    assert cached(tmp_path) == []


async def test_cancelled_it_leaves_nothing(source: Path, tmp_path: Path) -> None:
    task: asyncio.Task[object] | None = None
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(compile_node(nothing), name="compile")
            await until(lambda: any(name.startswith(".building") for name in cached(tmp_path)), timeout=20)
            task.cancel()
            await task
    assert cached(tmp_path) == []


async def test_what_a_killed_process_left_is_removed(source: Path, tmp_path: Path) -> None:
    left = tmp_path / "cache" / "innerloop" / "node" / ".building-1"
    left.mkdir(parents=True)
    await compile_node(nothing)
    assert not left.exists()


async def test_progress_counts_the_packages(source: Path) -> None:
    # not in Go's cache yet
    (source / "main.go").write_text(MAIN.replace("node", str(source)))
    events: list[Event] = []
    await compile_node(events.append)
    told = [event.message for event in events if isinstance(event, StepProgress)]
    assert any("1 of at most" in message for message in told)


async def test_no_go_is_told_with_where_to_get_it(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LoopError, match="go is needed to compile") as caught:
        await compile_node(nothing)
    assert "go.dev/dl" in (caught.value.hint or "")


async def test_without_go_what_is_compiled_serves(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = await compile_node(nothing)
    monkeypatch.setenv("PATH", "/nowhere")
    assert await compile_node(nothing) == there


async def test_an_old_go_is_told_with_its_version(
    source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = tmp_path / "old" / "go"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho go version go1.19.8 linux/amd64\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(old.parent), prepend=os.pathsep)
    with pytest.raises(LoopError, match=r"Go 1\.26 or newer is needed .* 1\.19\.8 is installed"):
        await compile_node(nothing)


async def test_the_shipped_sources_are_found() -> None:
    assert (compiling.sources() / "keeper" / "main.go").is_file()
    assert shutil.which("go"), "every machine that runs these tests has Go"
