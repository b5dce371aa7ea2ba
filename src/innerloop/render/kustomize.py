"""Kustomizations, by ``kustomize build`` or ``kubectl kustomize``.

Where variables change something, the files that the kustomization is made of are copied to a temporary folder in which
they lie as they do in the user's tree, so that ``../base`` stays right and messages can be turned back.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import textwrap
from pathlib import Path

from innerloop import processes
from innerloop.config.files import shown
from innerloop.config.yaml import dump_all
from innerloop.errors import Location, LoopError
from innerloop.manifest import Manifest
from innerloop.project import KustomizeSource, Project
from innerloop.render import kustomizations, programs, trees
from innerloop.render.documents import manifests_in
from innerloop.render.evidence import Evidence, Varying, differing
from innerloop.render.files import source_name
from innerloop.render.kustomizations import Contents
from innerloop.render.outputs import program_identity, remembered


async def render_kustomize(
    source: KustomizeSource, project: Project, *, where: Location, evidence: Evidence | None = None
) -> list[Manifest]:
    """The objects of a kustomization. Raises LoopError with kustomize's own words.

    ``evidence`` gets the objects that come out differently when it is built again.
    """
    folder = source.path
    if not folder.is_dir():
        raise LoopError(f"{shown(folder)} is not a folder", where=where)
    needed = kustomizations.contents(folder, source.substitute, project.variables, where)
    command = programs.kustomize()

    async def build() -> str:
        return await _build_filled(command, folder, needed)

    def read(output: str) -> list[Manifest]:
        return manifests_in(output, shown(folder), source_name(folder, project))

    if needed.remote:
        # what is elsewhere may change
        output = await build()
        if evidence is not None:
            evidence.bases += needed.remote
        return read(output)
    filled = {str(file): text for file, text in needed.filled.items()}
    inputs = (program_identity(command[0]), str(folder), filled, trees.digest(sorted(needed.plain)))
    output = await remembered(inputs, build)
    if evidence is not None and (second := await remembered(("again", *inputs), build)) != output:
        evidence.varying += [Varying(one.key, one.source, where) for one in differing(read(output), read(second))]
    return read(output)


async def remote_digest(name: str) -> str:
    """A hash of the objects that a remote base is now: ``sha256:…``. Raises LoopError when it cannot be had."""
    with tempfile.TemporaryDirectory(prefix="innerloop-") as temporary:
        folder = Path(temporary)
        (folder / kustomizations.NAMES[0]).write_text(dump_all([{"resources": [name]}]))
        output = await _build([*programs.kustomize(), temporary], None, folder)
    return f"sha256:{hashlib.sha256(output.encode()).hexdigest()}"


async def _build_filled(command: list[str], folder: Path, needed: Contents) -> str:
    if not needed.filled:
        return await _build([*command, str(folder)], None, folder)
    with tempfile.TemporaryDirectory(prefix="innerloop-") as temporary:
        root = Path(os.path.realpath(temporary))
        _copy(needed, root)
        return await _build([*command, str(_mirrored(root, folder))], root, folder)


async def _build(argv: list[str], root: Path | None, folder: Path) -> str:
    completed = await processes.run(argv, env={"TZ": "UTC"}, check=False)
    if completed.code == 0:
        return completed.text
    output = completed.stderr.decode(errors="replace").strip()
    output = output.replace(f"{root}/", "/") if root else output
    file = kustomizations.kustomization_in(folder) or folder
    raise LoopError(
        f"kustomization {shown(folder)} cannot be built",
        where=_place(output, file),
        detail=_plain(output),
    )


def _plain(output: str) -> str:
    """kustomize's message without what kubectl puts around it: ``E1125 … run.go:72] "command failed" err="…"``."""
    logged = re.search(r'^E\d{4} .*\] "command failed" err=(?:"(.*)"|<\n(.*)\n\s*>)$', output, re.DOTALL | re.MULTILINE)
    if logged and logged[1] is not None:
        output = logged[1].replace('\\"', '"').replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\")
    elif logged:
        output = textwrap.dedent(logged[2]).strip()
    return re.sub(r"^error: ", "", output, flags=re.IGNORECASE)


def _place(output: str, file: Path) -> Location:
    """The line that kustomize tells of its own file, if it does."""
    line = re.search(rf"{re.escape(file.name)}'?: .*?line (\d+)", output)
    return Location(shown(file), int(line[1]) if line else 0)


def _copy(needed: Contents, root: Path) -> None:
    for path in needed.plain:
        copy = _mirrored(root, path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, copy, dirs_exist_ok=True, ignore_dangling_symlinks=True)
        else:
            shutil.copyfile(path, copy)
    for file, text in needed.filled.items():
        copy = _mirrored(root, file)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text)


def _mirrored(root: Path, path: Path) -> Path:
    return root / path.relative_to(path.anchor)
