"""Which local files a kustomization is made of.

Followed are all fields of ``kustomize.config.k8s.io`` (v1beta1, v1alpha1, as of kustomize 5.8) that name paths. Names
that are no local path stay kustomize's business: remote bases, or a mistake that it tells.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from innerloop.config import yaml
from innerloop.config.files import read, shown
from innerloop.config.variables import substitute
from innerloop.errors import Location, LoopError
from innerloop.project import Variable
from innerloop.render import trees

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")

_NAMED = re.compile(r"\$\{(\w+)\}")
_LISTS = ("resources", "bases", "components", "crds", "configurations", "generators", "transformers", "validators")
_PATCHES = ("patches", "patchesJson6902", "replacements")
_GENERATORS = ("configMapGenerator", "secretGenerator")


class Contents(NamedTuple):
    """The files of a kustomization and of those that it builds on."""

    filled: dict[Path, str]
    """Text with variables put in, of the files in which that changes something."""
    plain: set[Path]
    """Files and folders that are used as they are."""
    remote: list[str]
    """Names that are no local path."""


def contents(folder: Path, patterns: Iterable[str], variables: Mapping[str, Variable], where: Location) -> Contents:
    """What a kustomization needs. Raises LoopError for a missing kustomization and an undefined variable."""
    found = Contents({}, set(), [])
    if kustomization_in(folder) is None:
        raise LoopError(f"{shown(folder)} has no kustomization.yaml", where=where)
    _follow(folder, tuple(patterns), variables, found, set())
    return found


def substituted(folder: Path, patterns: Iterable[str], variables: Mapping[str, Variable]) -> list[Path]:
    """The files in which variables are put in, whether or not they are declared; none where it is no kustomization."""
    known = {name: variable.value for name, variable in variables.items()}
    found: dict[Path, None] = {}

    def visit(folder: Path) -> None:
        file = kustomization_in(folder)
        if file is None or file in found:
            return
        # a name that nobody declares stands for itself: in braces it might be no YAML
        text = _NAMED.sub(lambda match: known.get(match[1], match[1]), read(file))
        for path in (file, *(Path(os.path.normpath(folder / name)) for name in named_paths(text, file))):
            if path.is_dir():
                visit(path)
            elif path.is_file() and _fits(path, folder, patterns):
                found[path] = None

    patterns = tuple(patterns)
    visit(folder)
    return list(found)


def kustomization_in(folder: Path) -> Path | None:
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def _follow(
    folder: Path, patterns: tuple[str, ...], variables: Mapping[str, Variable], found: Contents, seen: set[Path]
) -> None:
    if folder in seen:
        return
    seen.add(folder)
    file = kustomization_in(folder)
    assert file is not None
    text = _take(file, folder, patterns, variables, found)
    for name in named_paths(text, file):
        path = Path(os.path.normpath(folder / name))
        if path.is_dir() and kustomization_in(path):
            _follow(path, patterns, variables, found, seen)
        elif path.is_dir():
            found.plain.add(path)
        elif path.is_file():
            _take(path, folder, patterns, variables, found)
        else:
            found.remote.append(name)


def _take(
    file: Path, folder: Path, patterns: tuple[str, ...], variables: Mapping[str, Variable], found: Contents
) -> str:
    """Add a file; returns its text as kustomize is to see it, empty where that does not matter."""
    if not _fits(file, folder, patterns):
        found.plain.add(file)
        return read(file) if file.name in NAMES else ""
    text = read(file)
    filled = substitute(text, variables, Location(shown(file), 1, 1))
    if filled == text:
        found.plain.add(file)
    else:
        found.filled[file] = filled
    return filled


def _fits(file: Path, folder: Path, patterns: Iterable[str]) -> bool:
    name = os.path.relpath(file, folder)
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def named_paths(text: str, file: Path) -> Iterator[str]:
    """Everything in a kustomization that may be a path."""
    documents = yaml.load_all(text, shown(file), last_wins=True)
    kustomization: dict[str, Any] = documents[0] if documents and isinstance(documents[0], dict) else {}
    for field in _LISTS:
        yield from _texts(kustomization.get(field))
    yield from _texts(kustomization.get("patchesStrategicMerge"))
    for entry in _entries(kustomization, *_PATCHES):
        yield from _texts([entry.get("path")])
    for entry in _entries(kustomization, *_GENERATORS):
        # files: either a path, or a key and a path
        yield from (name.partition("=")[2] or name for name in _texts(entry.get("files")))
        yield from _texts([*_texts(entry.get("envs")), entry.get("env")])
    for chart in _entries(kustomization, "helmCharts"):
        yield from _texts([chart.get("valuesFile"), *_texts(chart.get("additionalValuesFiles"))])
    for field, key in (("openapi", "path"), ("helmGlobals", "chartHome")):
        value = kustomization.get(field)
        yield from _texts([value.get(key)] if isinstance(value, dict) else ())


def inputs(found: Contents) -> list[Path]:
    """Every file that counts, sorted."""
    return sorted({*found.filled, *(file for path in found.plain for file in trees.files_below(path))})


def _entries(kustomization: Mapping[str, Any], *fields: str) -> Iterator[dict[str, Any]]:
    for field in fields:
        value = kustomization.get(field)
        yield from (entry for entry in value if isinstance(entry, dict)) if isinstance(value, list) else ()


def _texts(value: object) -> list[str]:
    """The texts of a list that can be paths: inline patches have several lines."""
    return [item for item in value if isinstance(item, str) and "\n" not in item] if isinstance(value, list) else []
