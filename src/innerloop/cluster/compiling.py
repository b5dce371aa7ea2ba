"""Compiling the node program with the user's Go, once per content of its sources.

The result is kept in the cache folder by a hash of the sources and the version of Go, so neither a new checkout nor
a second cluster compiles again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from innerloop import processes
from innerloop.cluster import records
from innerloop.cluster.builtin.components import NAMES
from innerloop.errors import LoopError
from innerloop.events import Emit, StepProgress, reported
from innerloop.paths import cache_dir

STEP = "cluster/compile"
KEEP_DAYS = 14
"""A version that no cluster was started with for so long is removed."""

_ENVIRONMENT = {"CGO_ENABLED": "0"}
_USER_PROGRAMS = ("kubectl", "helm")
_PROGRAMS = {"keeper": "./keeper", "pause": "./pause", "tools": "./tools", "node": "."}
"""Small ones first: a mistake in the environment shows within seconds."""
_LINK_SHARE = 0.08
"""What linking takes, as a share of compiling: measured 30 s against 6 to 8 minutes."""


class Programs(NamedTuple):
    """A folder with the compiled programs and, for each component, a link of its name."""

    folder: Path

    @property
    def keeper(self) -> Path:
        return self.folder / "keeper"

    @property
    def pause(self) -> Path:
        return self.folder / "pause"

    @property
    def user(self) -> Path:
        """A folder for PATH: kubectl and helm."""
        return self.folder / "user"


def sources() -> Path:
    """The Go sources: inside the installed package, else in the checkout that an editable installation points to."""
    package = Path(__file__).parents[1]
    for folder in (package / "native" / "node", package.parents[1] / "native" / "node"):
        if (folder / "go.mod").is_file():
            return folder
    raise LoopError("the sources of the built-in cluster are not part of this installation", hint="reinstall innerloop")


def compiled() -> Programs | None:
    """What was compiled from the present sources, with whatever version of Go; None when nothing was."""
    try:
        content = _content_hash(sources())
    except LoopError:
        return None
    return _newest(f"{content}-go*")


def for_users() -> Path | None:
    """The folder with kubectl and helm; those of other sources too, for an upgrade of ours changes nothing in them."""
    there = compiled() or _newest("*-go*")
    return there.user if there else None


async def compile_node(emit: Emit) -> Programs:
    """The compiled programs, compiled now if need be (minutes); of two at once, one waits for the other.

    Raises LoopError without a Go that is new enough, or when it fails. Interrupted, it leaves nothing but what Go
    itself keeps in its cache, so the next time it goes on from there.
    """
    there = compiled()
    if there is not None and shutil.which("go") is None:
        return _used(there)
    source = sources()
    version = await _go_version(source)
    target = _cache() / f"{_content_hash(source)}-{version}"
    if not (target / "complete").is_file():
        with reported(emit, STEP, "compile the Kubernetes node") as outcome:
            outcome.summary = await _compile_locked(source, target, emit)
    return _used(Programs(target))


async def _compile_locked(source: Path, target: Path, emit: Emit) -> str:
    def waiting() -> None:
        emit(StepProgress(step=STEP, message="another process is compiling it: waiting for that"))

    _cache().mkdir(parents=True, exist_ok=True)
    async with records.file_lock(_cache() / ".lock", waiting):
        if (target / "complete").is_file():
            return "compiled by another process"
        _remove_unused()
        building = _cache() / f".building-{os.getpid()}"
        try:
            building.mkdir()
            await _compile(source, building, emit)
            building.rename(target)
        except OSError as error:
            raise LoopError(f"cannot write {error.filename}: {error.strerror}") from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return f"kept in {target}"


async def _compile(source: Path, folder: Path, emit: Emit) -> None:
    emit(StepProgress(step=STEP, message="downloading Go modules (about 400 MB the first time)"))
    await _go(["go", "mod", "download"], source)
    total = await _package_count(source)
    progress = _Progress(emit, total)
    command = ["go", "build", "-v", "-trimpath", "-ldflags", _link_flags(source)]
    for name, package in _PROGRAMS.items():
        await _go([*command, "-o", str(folder / name), package], source, progress.compiled)
    for name in NAMES:
        if name != "containerd":
            (folder / name).symlink_to("node")
    (folder / "user").mkdir()
    for name in _USER_PROGRAMS:
        (folder / "user" / name).symlink_to("../tools")
    (folder / "complete").touch()


class _Progress:
    """Counts the packages that ``go build -v`` names as it compiles them.

    Those that Go has in its cache are never named, so the number is of those at most.
    """

    def __init__(self, emit: Emit, total: int) -> None:
        self._emit = emit
        self._total = total
        self._done = 0
        self._started = time.monotonic()

    def compiled(self, line: str) -> None:
        if not re.fullmatch(r"[\w.~-]+(/[\w.~-]+)*", line):
            return
        self._done += 1
        self._emit(StepProgress(step=STEP, message=self._message()))

    def _message(self) -> str:
        share = min(self._done / self._total, 1.0)
        elapsed = time.monotonic() - self._started
        left = elapsed / share * (1 - share) + elapsed / share * _LINK_SHARE
        remaining = f"about {_duration(left)} left" if elapsed > 15 else "a few minutes, this once"
        return f"{self._done} of at most {self._total} packages, {remaining}"


def _newest(pattern: str) -> Programs | None:
    found = [folder for folder in _cache().glob(pattern) if (folder / "complete").is_file()]
    return Programs(max(found, key=lambda folder: folder.stat().st_mtime)) if found else None


async def _go(command: list[str], source: Path, on_line: Callable[[str], None] = lambda _: None) -> None:
    lines: list[str] = []

    def collect(line: str) -> None:
        lines.append(line)
        on_line(line)

    # the machine stays usable meanwhile
    polite = ["nice", "-n", "10"] if shutil.which("nice") else []
    code = await processes.stream([*polite, *command], collect, cwd=source, env=_ENVIRONMENT)
    if code:
        said = [line for line in lines if not re.fullmatch(r"[\w.~-]+(/[\w.~-]+)*", line)]
        raise LoopError(
            f"{' '.join(command[:3])} ended with status {code}",
            detail="\n".join((said or lines)[-20:]),
            hint="the module proxy (go env GOPROXY) must be reachable the first time, and the disk have 4 GB free",
        )


async def _package_count(source: Path) -> int:
    listed = await processes.run(["go", "list", "-deps", "./..."], cwd=source, env=_ENVIRONMENT)
    return max(len(listed.stdout.splitlines()), 1)


async def _go_version(source: Path) -> str:
    """E.g. ``go1.26.8``: the version that will compile, which may be another than the installed one (GOTOOLCHAIN)."""
    wanted = _wanted_version(source)
    hint = f"get Go {wanted} or newer from https://go.dev/dl, or use another provider: loop cluster up --provider kind"
    program = processes.find_program("go", purpose="to compile the built-in cluster (once)", hint=hint)
    completed = await processes.run([program, "version"], cwd=source, check=False)
    found = re.search(r"\bgo(\d+)\.(\d+)\S*", completed.text)
    if completed.code or found is None:
        output = (completed.stdout + completed.stderr).decode(errors="replace").strip()
        raise LoopError(f"Go {wanted} or newer is needed to compile the built-in cluster", detail=output, hint=hint)
    if (int(found[1]), int(found[2])) < tuple(map(int, wanted.split(".")[:2])):
        raise LoopError(
            f"Go {wanted} or newer is needed to compile the built-in cluster, and {found[0][2:]} is installed",
            hint=hint,
        )
    return found[0]


def _link_flags(source: Path) -> str:
    """No symbols (a third smaller), and the versions that releases have linked in: charts ask for the server's."""
    kubernetes = _required_version(source, "k8s.io/kubernetes")
    major, minor = kubernetes.removeprefix("v").split(".")[:2]
    values = {
        "k8s.io/component-base/version.gitVersion": kubernetes,
        "k8s.io/component-base/version.gitMajor": major,
        "k8s.io/component-base/version.gitMinor": minor,
        "k8s.io/component-base/version.gitTreeState": "clean",
        "helm.sh/helm/v4/internal/version.version": _required_version(source, "helm.sh/helm/v4"),
    }
    return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in values.items())])


def _required_version(source: Path, module: str) -> str:
    found = re.search(rf"^\s+{re.escape(module)} (v\S+)", (source / "go.mod").read_text(), re.MULTILINE)
    assert found is not None, f"go.mod requires {module}"
    return found[1]


def _wanted_version(source: Path) -> str:
    found = re.search(r"^go (\d+\.\d+)", (source / "go.mod").read_text(), re.MULTILINE)
    assert found is not None, "go.mod names a version"
    return found[1]


def _content_hash(source: Path) -> str:
    digest = hashlib.sha256(repr((_link_flags(source), _ENVIRONMENT, NAMES)).encode())
    for file in sorted(_inputs(source)):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(source)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _inputs(source: Path) -> Iterator[Path]:
    yield from (source / "go.mod", source / "go.sum")
    yield from (file for file in source.rglob("*.go") if not file.name.endswith("_test.go"))


def _used(programs: Programs) -> Programs:
    # the time of the last use; a cache of another user's may be read-only
    with contextlib.suppress(OSError):
        os.utime(programs.folder)
    return programs


def _remove_unused() -> None:
    limit = time.time() - KEEP_DAYS * 86400
    for folder in _cache().iterdir():
        # under the lock every unfinished build is a dead process's
        if folder.is_dir() and (folder.name.startswith(".building-") or folder.stat().st_mtime < limit):
            shutil.rmtree(folder, ignore_errors=True)


def _cache() -> Path:
    return cache_dir() / "node"


def _duration(seconds: float) -> str:
    return f"{round(seconds / 60)} min" if seconds >= 90 else f"{round(seconds / 10) * 10} s"
