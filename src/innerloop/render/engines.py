"""Which versions of helm and kustomize render here."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from innerloop import processes
from innerloop.errors import LoopError
from innerloop.project import HelmSource, KustomizeSource, Project
from innerloop.render import programs
from innerloop.render.outputs import program_identity, remembered

_VERSION = re.compile(r"v\d+\.\d+\.\d+[\w.+-]*")


async def versions(project: Project) -> dict[str, str]:
    """``helm`` and ``kustomize`` to their versions (``v4.2.0``), as far as sources of the project need them.

    A program is asked once: while it is the same file the answer is remembered. Raises LoopError where one is missing.
    """
    found: dict[str, str] = {}
    if any(isinstance(source, HelmSource) for source in project.manifests):
        found["helm"] = await _version([programs.helm(), "version", "--template", "{{.Version}}"])
    if any(isinstance(source, KustomizeSource) for source in project.manifests):
        program = programs.kustomize()[0]
        alone = Path(program).name == "kustomize"
        found["kustomize"] = await _version([program, "version", *([] if alone else ["--client", "--output", "json"])])
    return found


async def _version(argv: list[str]) -> str:
    async def ask() -> str:
        return (await processes.run(argv)).text

    told = await remembered(("version", program_identity(argv[0]), argv[1:]), ask)
    if told.lstrip().startswith("{") and '"kustomizeVersion"' in told:
        # kubectl has a kustomize of its own in it
        told = str(msgspec.json.decode(told)["kustomizeVersion"])
    version = _VERSION.search(told)
    if version is None:
        raise LoopError(f"{argv[0]} does not tell its version", detail=told.strip() or None)
    return version[0]
