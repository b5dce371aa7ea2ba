"""A chart's folder, complete: pulled from its repository, its dependencies in place.

The user's tree is never written: a chart whose dependencies are missing or changed is completed in a copy in the cache,
and the copy is named by the content of all that it was made from.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from innerloop import processes, references
from innerloop.config import yaml
from innerloop.config.files import read, shown
from innerloop.errors import Location, LoopError
from innerloop.paths import cache_dir
from innerloop.project import HelmSource
from innerloop.render import repositories, trees

DAY_SECONDS = 24 * 3600

BESIDE = "file://"
"""How the address of a dependency begins that is no repository."""

_EXACT = re.compile(r"v?\d+\.\d+\.\d+([-+].*)?")


class Chart(NamedTuple):
    folder: Path
    """What helm renders."""
    name: str
    """By its Chart.yaml: how helm's paths begin."""
    origin: Path | None
    """The user's own folder, None for a chart from a repository."""

    def file_of(self, template: str) -> Path | None:
        """The user's file behind a path as helm tells it (``shop/templates/web.yaml``); None for others' charts."""
        top, _, rest = template.partition("/")
        return self.origin / rest if self.origin and top == self.name and rest else None


async def local_chart(source: HelmSource, helm: str, where: Location) -> Chart:
    """The chart of a source with everything in it that rendering needs. Raises LoopError."""
    if is_local(source):
        folder = Path(source.chart)
        if folder.is_file():
            return Chart(folder, folder.name, None)
        description = describe(folder, where)
        complete = await _completed(folder, helm, where)
        return Chart(complete, str(description.get("name") or folder.name), folder)
    folder = await _pulled(source, helm, where)
    return Chart(folder, folder.name, None)


def is_local(source: HelmSource) -> bool:
    """Whether the chart is a folder or an archive of this machine."""
    return source.repo is None and "://" not in source.chart


def describe(folder: Path, where: Location) -> dict[str, Any]:
    """A chart's Chart.yaml, with the dependencies of a requirements.yaml (API v1) in it. Raises LoopError."""
    file = folder / "Chart.yaml"
    if not file.is_file():
        raise LoopError(f"{shown(folder)} is no chart: it has no Chart.yaml", where=where)
    description = _mapping(file)
    old = folder / "requirements.yaml"
    if old.is_file():
        description.setdefault("dependencies", _mapping(old).get("dependencies"))
    return description


def local_dependencies(folder: Path, where: Location, above: tuple[Path, ...] = ()) -> list[Path]:
    """Folders of the charts that a chart takes from beside itself (``file://``), theirs included, innermost first.

    Raises LoopError for what is no chart, and for charts that need each other.
    """
    found: list[Path] = []
    path = (*above, folder)
    inside = Location(shown(folder / "Chart.yaml"))
    for dependency in dependencies(describe(folder, where)):
        repository = str(dependency.get("repository") or "")
        if not repository.startswith(BESIDE):
            continue
        other = Path(os.path.normpath(folder / repository.removeprefix(BESIDE)))
        if other in path:
            circle = " → ".join(shown(chart) for chart in (*path, other))
            raise LoopError(f"charts depend on each other in a circle: {circle}", where=inside)
        found += [*local_dependencies(other, inside, path), other]
    return list(dict.fromkeys(found))


def dependencies(description: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in description.get("dependencies") or () if isinstance(entry, dict)]


async def _completed(folder: Path, helm: str, where: Location) -> Path:
    local = local_dependencies(folder, where)
    incomplete = [chart for chart in [*local, folder] if _is_incomplete(chart, where)]
    if not incomplete:
        return folder
    name = trees.digest([*local, folder])[:32]
    target = cache_dir() / "charts" / name
    if not target.is_dir():
        await _complete(folder, [*local, folder], incomplete, target, helm, where)
    return _mirrored(target, folder)


async def _complete(
    folder: Path, copied: list[Path], incomplete: list[Path], target: Path, helm: str, where: Location
) -> None:
    """Make the copy under another name, and give it its own when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="making-") as temporary:
        draft = Path(temporary) / "root"
        for chart in copied:
            _copy(chart, _mirrored(draft, chart))
        # innermost first: a chart is packed into another with what it has by then
        for chart in incomplete:
            await _build_dependencies(chart, _mirrored(draft, chart), helm, where)
        _keep(draft, target)


async def _build_dependencies(chart: Path, copy: Path, helm: str, where: Location) -> None:
    needed = [entry for entry in dependencies(describe(chart, where)) if entry.get("repository")]
    addresses = [str(dependency["repository"]) for dependency in needed]
    for dependency in needed:
        # helm would leave an unpacked copy beside the packed one, and render both
        shutil.rmtree(copy / "charts" / str(dependency.get("name")), ignore_errors=True)
    argv = [helm, "dependency", "build", str(copy)]
    if not any(address.startswith(("http", "@", "alias:")) for address in addresses):
        argv.append("--skip-refresh")
    async with repositories.known(addresses, helm) as environment:
        completed = await processes.run(argv, env=environment, check=False)
    if completed.code:
        # why a repository could not be read stands on stdout
        output = (completed.stdout + completed.stderr).decode(errors="replace").strip().replace(str(copy), shown(chart))
        raise LoopError(
            f"dependencies of chart {shown(chart)} cannot be fetched",
            where=Location(shown(chart / "Chart.yaml")),
            detail=output,
            hint=f"helm dependency update {shown(chart)}" if "out of sync" in output else None,
        )


def _is_incomplete(chart: Path, where: Location) -> bool:
    """Whether something has to be put below ``charts/``: what is beside the chart always is, as it is now."""
    locked = {entry.get("name"): str(entry.get("version")) for entry in _locked(chart)}
    for dependency in dependencies(describe(chart, where)):
        repository, name = str(dependency.get("repository") or ""), str(dependency.get("name"))
        if repository.startswith(BESIDE) or (repository and not _is_there(chart / "charts", name, locked.get(name))):
            return True
    return False


def _is_there(folder: Path, name: str, version: str | None) -> bool:
    unpacked = folder / name / "Chart.yaml"
    if unpacked.is_file():
        return version is None or str(_mapping(unpacked).get("version")) == version
    return any(folder.glob(f"{name}-{version or '*'}.tgz"))


def _locked(chart: Path) -> Iterator[dict[str, Any]]:
    for name in ("Chart.lock", "requirements.lock"):
        if (chart / name).is_file():
            yield from dependencies(_mapping(chart / name))


async def _pulled(source: HelmSource, helm: str, where: Location) -> Path:
    """The folder of a chart from a repository: pulled once for an exact version, else once a day."""
    exact = source.version and _EXACT.fullmatch(source.version)
    day = "" if exact else str(time.time() // DAY_SECONDS)
    key = "\n".join([source.chart, source.repo or "", source.version or "", day])
    target = cache_dir() / "charts" / hashlib.sha256(key.encode()).hexdigest()[:32]
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="making-") as temporary:
            draft = Path(temporary) / "root"
            await _pull(source, helm, draft, where)
            _keep(draft, target)
    return next(folder for folder in target.iterdir() if folder.is_dir())


async def _pull(source: HelmSource, helm: str, draft: Path, where: Location) -> None:
    draft.mkdir()
    argv = [helm, "pull", source.chart, "--untar", "--untardir", str(draft)]
    argv += ["--repo", source.repo] if source.repo else []
    argv += ["--version", source.version] if source.version else []
    host = source.chart.removeprefix("oci://").partition("/")[0]
    if source.chart.startswith("oci://") and references.is_local(host):
        argv.append("--plain-http")
    completed = await processes.run(argv, check=False)
    if completed.code:
        output = completed.stderr.decode(errors="replace").strip()
        raise LoopError(f"chart {source.chart} cannot be pulled", where=where, detail=output.removeprefix("Error: "))


def _keep(draft: Path, target: Path) -> None:
    """Move what is whole to its place; where someone was first, theirs stays, which is the same."""
    try:
        draft.rename(target)
    except OSError:
        # a folder can only be renamed onto an empty one
        if not target.is_dir():
            raise


def _copy(chart: Path, copy: Path) -> None:
    try:
        shutil.copytree(chart, copy, dirs_exist_ok=True, ignore_dangling_symlinks=True)
    except shutil.Error as error:
        raise LoopError(f"chart {shown(chart)} cannot be copied", detail=str(error)) from error


def _mirrored(root: Path, folder: Path) -> Path:
    """Where a folder is copied to: below the root as it is below ``/``, so that ``file://../x`` stays right."""
    return root / folder.relative_to(folder.anchor)


def _mapping(file: Path) -> dict[str, Any]:
    documents = yaml.load_all(read(file), shown(file), last_wins=True)
    if len(documents) == 1 and isinstance(documents[0], dict):
        return documents[0]
    raise LoopError("one YAML mapping is expected", where=Location(shown(file)))
