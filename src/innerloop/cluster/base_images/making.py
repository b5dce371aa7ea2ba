"""Making images: Dockerfiles built by buildah in a store of its own, the results kept in the cache's OCI layout."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import platform
import shutil
import sys
import tempfile
import zipfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from innerloop import paths, processes
from innerloop.cluster.base_images import debian
from innerloop.cluster.base_images.catalog import DEBIAN, Recipe
from innerloop.events import Emit, Notice, StepOutput, StepProgress, reported

_RECIPES = Path(__file__).parent / "recipes"
_BASE_TAG = "docker.io/library/debian:12-slim"
"""What the recipes' FROM says."""


_PRIVATE_MOUNTS = ["unshare", "--mount"]
"""A mount namespace of its own: what buildah and skopeo mount ends with them, however they end."""


def layout_reference(recipe: Recipe) -> str:
    """Where the image is, or will be, for skopeo and buildah: by the content of its recipe and of the base's."""
    digest = hashlib.sha256(f"{debian.SUITE} {debian.PACKAGES}".encode())
    for name in dict.fromkeys((DEBIAN.dockerfile, recipe.dockerfile)):
        for file in sorted(_RECIPES.glob(f"{name}.*")):
            digest.update(file.read_bytes())
    for certificate in debian.certificates():
        digest.update(certificate.read_bytes())
    return f"oci:{_layout()}:{recipe.ref}-{digest.hexdigest()[:12]}"


def made(recipe: Recipe) -> bool:
    """Whether the image is in the cache."""
    try:
        index = json.loads((_layout() / "index.json").read_bytes())
    except FileNotFoundError:
        return False
    names = {entry.get("annotations", {}).get("org.opencontainers.image.ref.name") for entry in index["manifests"]}
    return layout_reference(recipe).rpartition(":")[2] in names


class Workshop:
    """A folder for the time of making: buildah's store, downloads, root file systems. Enter it by ``workshop``."""

    def __init__(self, folder: Path, proxies: Mapping[str, str]) -> None:
        self._folder = folder
        self._proxies = proxies
        self._builds = asyncio.Semaphore(2)
        self._base = asyncio.Lock()
        self._layout = asyncio.Lock()
        self._has_base = False
        self._buildah = ["buildah", "--root", str(folder / "store"), "--runroot", str(folder / "run")]

    async def make(self, recipe: Recipe, step: str, emit: Emit) -> None:
        """Build a recipe's image, and before it the base image that all stand on, into the layout.

        Reports the build's output as that of ``step``. Raises ProgramFailed with its last lines.
        """
        async with self._base:
            await self._provide_base(emit)
        async with self._builds:
            if not made(recipe):
                context = await self._context(recipe)
                await self._build(recipe, context, f"localhost/{recipe.ref}", _output(emit, step))

    async def _provide_base(self, emit: Emit) -> None:
        if self._has_base:
            return
        if made(DEBIAN):
            store = f"[overlay@{self._folder}/store+{self._folder}/run]"
            await _run("skopeo", "copy", "--quiet", layout_reference(DEBIAN), f"containers-storage:{store}{_BASE_TAG}")
        else:
            step = "base-image/debian"
            with reported(emit, step, "install Debian 12 as the base of base images"):
                await self._make_base(lambda text: emit(StepProgress(step=step, message=text)), _output(emit, step))
        self._has_base = True

    async def _make_base(self, progress: Callable[[str], None], output: Callable[[str], None]) -> None:
        sources = await debian.sources()
        context = self._folder / "debian"
        context.mkdir()
        (context / "sources.list").write_text("\n".join((*sources.lines, "")))
        (context / "certificates").mkdir()
        for number, certificate in enumerate(debian.certificates()):
            shutil.copy(certificate, context / "certificates" / f"{number}.crt")
        root = self._folder / "root"
        await debian.bootstrap(sources.mirror, root, context / "rootfs.tar", progress, self._proxies)
        await self._build(DEBIAN, context, _BASE_TAG, output)

    async def _context(self, recipe: Recipe) -> Path:
        if recipe.prefix:
            return recipe.prefix
        context = self._folder / recipe.ref
        context.mkdir()
        if recipe.wheel:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            await processes.run([*pip, "--dest", str(context), recipe.wheel])
            (wheel,) = context.glob("*.whl")
            await asyncio.to_thread(_unpack, wheel, context)
        return context

    async def _build(self, recipe: Recipe, context: Path, tag: str, output: Callable[[str], None]) -> None:
        ignore = _RECIPES / f"{recipe.dockerfile}.ignore"
        options = ["--timestamp", "0", "--isolation", "chroot", "--network", "host", "--pull-never"]
        options += ["--label", f"org.opencontainers.image.description={recipe.contents}"]
        options += ["--ignorefile", str(ignore)] if ignore.exists() else []
        file = _RECIPES / f"{recipe.dockerfile}.Dockerfile"
        command = ["bud", *options, "--file", str(file), "--tag", tag, str(context)]
        last: deque[str] = deque(maxlen=30)

        def on_line(line: str) -> None:
            last.append(line)
            output(line)

        code = await processes.stream([*_PRIVATE_MOUNTS, *self._buildah, *command], on_line, env=self._proxies)
        if code:
            raise processes.ProgramFailed(["buildah"], processes.Completed(code, "\n".join(last).encode(), b""))
        async with self._layout:
            await asyncio.to_thread(_layout().mkdir, parents=True, exist_ok=True)
            await _run(*self._buildah, "push", "--quiet", tag, layout_reference(recipe))


@asynccontextmanager
async def workshop(emit: Emit) -> AsyncIterator[Workshop]:
    """The only workshop of this user at a time; another's is waited for, and a dead one's remains are removed."""
    parent = paths.cache_dir() / "base-images"
    parent.mkdir(parents=True, exist_ok=True)
    with (parent / ".lock").open("w") as lock:
        if not _try_lock(lock.fileno()):
            emit(Notice(level="info", message="other base images are being made: waiting for them"))
            while not _try_lock(lock.fileno()):  # noqa: ASYNC110 - no event tells the end of another's lock
                await asyncio.sleep(0.2)
        for stale in parent.glob(".work-*"):
            await asyncio.to_thread(shutil.rmtree, stale)
        folder = Path(tempfile.mkdtemp(prefix=".work-", dir=parent))
        try:
            yield Workshop(folder, await debian.proxies())
        finally:
            await asyncio.to_thread(shutil.rmtree, folder)


def _layout() -> Path:
    return paths.cache_dir() / "base-images" / platform.machine()


async def _run(*argv: str) -> None:
    completed = await processes.run([*_PRIVATE_MOUNTS, *argv], check=False)
    if completed.code:
        raise processes.ProgramFailed(argv, completed)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unpack(wheel: Path, folder: Path) -> None:
    """Move the files of the wheel's only package to the top of ``folder``, which is then a prefix."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "wheel")
    (package,) = (path for path in (folder / "wheel").iterdir() if path.suffix != ".dist-info")
    for path in package.iterdir():
        path.rename(folder / path.name)


def _output(emit: Emit, step: str) -> Callable[[str], None]:
    return lambda line: emit(StepOutput(step=step, text=line))
