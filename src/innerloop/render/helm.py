"""Charts, by ``helm template``.

Values come from the chart, then from the value files in their order, then from ``set``; variables are put into
temporary copies. Of objects with hook annotations those stay that ``helm install`` would make: pre-install,
post-install and crd-install. Tests and hooks of upgrade, rollback and delete are left out: they are no part of what
runs.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from innerloop import processes
from innerloop.config.files import read, shown
from innerloop.config.variables import substitute
from innerloop.config.yaml import load_all
from innerloop.errors import Location, LoopError
from innerloop.manifest import Manifest
from innerloop.project import HelmSource, Project
from innerloop.render import charts, helm_errors, programs, trees
from innerloop.render.documents import chunks, manifests_of
from innerloop.render.evidence import Evidence
from innerloop.render.files import source_name
from innerloop.render.outputs import program_identity, remembered
from innerloop.render.proving import Proof, prove

HOOK = "helm.sh/hook"
KEPT_HOOKS = frozenset(("pre-install", "post-install", "crd-install"))

_SOURCE = re.compile(r"^# Source: (.+)$", re.MULTILINE)


class _Values(NamedTuple):
    """A file of values as helm is to read it."""

    origin: Path
    text: str


async def render_helm(
    source: HelmSource, project: Project, *, namespace: str, where: Location, evidence: Evidence | None = None
) -> list[Manifest]:
    """The objects of a chart. Raises LoopError with the template's place, ``where`` for what has none.

    ``evidence`` gets the objects that come out differently when the chart is rendered again, at another time of day.
    """
    helm = programs.helm()
    chart = await charts.local_chart(source, helm, where)
    options = ["--include-crds", "--namespace", source.namespace or namespace]
    for path, value in _indexed(source.set):
        options += ["--set-json", f"{path}={msgspec.json.encode(value).decode()}"]
    values = _values(source, project)
    content = trees.digest([chart.folder])
    inputs = (program_identity(helm), source.release, options, [file.text for file in values], content)

    async def template(folder: Path) -> str:
        return await _template([helm, "template", source.release, str(folder), *options], values, chart, where)

    def read_output(output: str) -> list[Manifest]:
        return _manifests(output, chart, project)

    output = await remembered(inputs, partial(template, chart.folder))
    if evidence is not None:
        await prove(Proof(source, chart, project, inputs, content, template, read_output), output, evidence)
    return read_output(output)


async def _template(argv: list[str], values: list[_Values], chart: charts.Chart, where: Location) -> str:
    # dates are written in the local time zone
    with tempfile.TemporaryDirectory(prefix="innerloop-") as folder:
        copies = {Path(folder) / f"{number}-{file.origin.name}": file for number, file in enumerate(values)}
        for copy, file in copies.items():
            copy.write_text(file.text)
            argv = [*argv, "--values", str(copy)]
        completed = await processes.run(argv, env={"TZ": "UTC"}, check=False)
    if completed.code == 0:
        return completed.text
    for file in values:
        # what is wrong there already helm tells without its place
        load_all(file.text, shown(file.origin), last_wins=True)
    error = completed.stderr.decode(errors="replace").strip()
    for copy, file in copies.items():
        error = error.replace(str(copy), shown(file.origin))
    raise helm_errors.explained(error, chart, where)


def _values(source: HelmSource, project: Project) -> list[_Values]:
    """In helm's order: later ones are stronger."""
    found = [
        _Values(file, substitute(read(file), project.variables, Location(shown(file), 1, 1))) for file in source.values
    ]
    if plain := {path: value for path, value in source.set.items() if "[" not in path}:
        found.append(_Values(project.file, msgspec.json.encode(nested(plain)).decode()))
    return found


def nested(values: Mapping[str, object]) -> dict[str, Any]:
    """Values by dotted path as a tree; ``\\.`` is a dot within a name. Later ones win over earlier ones."""
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *parents, last = [name.replace("\\.", ".") for name in re.split(r"(?<!\\)\.", path)]
        node = tree
        for name in parents:
            child = node.get(name)
            node[name] = node = dict(child) if isinstance(child, dict) else {}
        node[last] = value
    return tree


def _indexed(values: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Those that name an element of a list, which a values file could only replace as a whole."""
    return ((path, value) for path, value in values.items() if "[" in path)


def _manifests(output: str, chart: charts.Chart, project: Project) -> list[Manifest]:
    return [manifest for manifest in _every_manifest(output, chart, project) if _is_kept(manifest)]


def _every_manifest(output: str, chart: charts.Chart, project: Project) -> Iterator[Manifest]:
    template = ""
    for chunk in chunks(output):
        # a file with several documents may tell its name only once
        if found := _SOURCE.search(chunk.text):
            template = found[1]
        file = chart.file_of(template)
        name = source_name(file, project) if file else template
        try:
            # the last of two equal keys counts for helm, and charts of others have such
            yield from manifests_of(chunk, shown(file) if file else template, name, last_wins=True)
        except LoopError as error:
            # lines of the output are not those of the template
            error.where = Location(shown(file) if file else template)
            error.detail = "\n".join(filter(None, [error.detail, "rendered as:", chunk.text.strip()]))
            raise


def _is_kept(manifest: Manifest) -> bool:
    hooks = (manifest.metadata.get("annotations") or {}).get(HOOK)
    if not hooks:
        return True
    return bool(KEPT_HOOKS & {hook.strip() for hook in str(hooks).split(",")})
