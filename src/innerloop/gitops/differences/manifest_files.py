"""From an environment's files in the GitOps repository back to objects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from innerloop.errors import Location, LoopError
from innerloop.manifest import Manifest
from innerloop.render.documents import manifests_in

SUFFIXES = (".yaml", ".yml", ".json")
KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml")
"""For the agents, which read them with all their might; no objects of a cluster."""

_HINT = "it is in the GitOps repository: mend it there, or let the next promotion write it anew"


def manifests_of(files: Mapping[str, bytes]) -> list[Manifest]:
    """The objects of files, in the order of their paths; files that are no manifests by their names are passed over.

    Raises LoopError with file and line for what cannot be read.
    """
    return [manifest for path in sorted(files) if is_manifest(path) for manifest in _read(path, files[path])]


def is_manifest(path: str) -> bool:
    """Whether a file has objects, by its name."""
    name = PurePosixPath(path).name
    return name.endswith(SUFFIXES) and name not in KUSTOMIZATIONS


def _read(path: str, content: bytes) -> list[Manifest]:
    try:
        return manifests_in(content.decode("utf-8-sig"), path, path)
    except UnicodeDecodeError as error:
        raise LoopError("this is not text in UTF-8", where=Location(path), hint=_HINT) from error
    except LoopError as error:
        error.hint = error.hint or _HINT
        raise
