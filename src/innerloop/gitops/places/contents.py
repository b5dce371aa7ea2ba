"""The files of an environment in the GitOps repository, always the same for the same manifests.

Nothing in them tells when, by what or from which commit they were rendered: that is for the file of provenance, and
would make a difference where there is none.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from innerloop.config import yaml
from innerloop.errors import LoopError
from innerloop.gitops.environments.rendering import Rendered
from innerloop.gitops.places.layouts import Place
from innerloop.gitops.provenance import Provenance
from innerloop.manifest import Manifest

HEADER = "# Rendered by innerloop: change the templates, not this file.\n"


def files_of(rendered: Rendered, place: Place) -> dict[str, bytes]:
    """Manifests, and the filled-in templates where the layout has them, by path in the repository.

    Raises LoopError for an object that was rendered twice: only one of the two could be kept.
    """
    _refuse_doubles(rendered.manifests)
    if place.manifests.endswith(".yaml"):
        stream = "".join(f"---\n{yaml.dump_all([one.object])}" for one in rendered.manifests)
        found = {place.manifests: f"{HEADER}{stream}".encode()} if rendered.manifests else {}
    else:
        named = _names(rendered.manifests)
        found = {
            f"{place.manifests}/{name}": f"{HEADER}{yaml.dump_all([one.object])}".encode()
            for name, one in named.items()
        }
    if place.templates:
        found |= {f"{place.templates}/{path}": content for path, content in rendered.templates.items()}
    return found


def provenance_of(provenance: Provenance, files: Mapping[str, bytes], place: Place) -> Provenance:
    """With the hashes of the manifests' files, by which an edit by hand is seen."""
    folder = place.folder
    hashes = {
        path.removeprefix(f"{folder}/"): hashlib.sha256(content).hexdigest()
        for path, content in sorted(files.items())
        if is_manifest(path, place)
    }
    return msgspec.structs.replace(provenance, files=hashes)


def is_manifest(path: str, place: Place) -> bool:
    """Whether a path is where the agent looks, and not only for readers."""
    if path == place.metadata:
        return False
    return path == place.manifests or path.startswith(f"{place.manifests}/")


def _refuse_doubles(manifests: Iterable[Manifest]) -> None:
    seen: dict[tuple[str, ...], Manifest] = {}
    for one in manifests:
        identity = (one.key.group, one.kind, one.namespace, one.name)
        other = seen.setdefault(identity, one)
        if other is not one:
            where = f" in {one.namespace}" if one.namespace else ""
            raise LoopError(
                f"{one.key}{where} is rendered twice",
                detail=f"by {other.source} and by {one.source}" if one.source or other.source else None,
                hint="name one of the two otherwise, or take it out",
            )


def _names(manifests: Sequence[Manifest]) -> dict[str, Manifest]:
    """``deployment-web.yaml``; with the namespace where two would be called so, and the API's group where even then."""
    steps: list[Callable[[Manifest], list[str]]] = [
        lambda one: [one.kind, one.name],
        lambda one: [one.kind, one.name, one.namespace],
        lambda one: [one.kind, one.name, one.namespace, one.key.group],
        # names that differ only in what no file name can have
        lambda one: [one.kind, one.name, hashlib.sha256("\0".join(one.key).encode()).hexdigest()[:8]],
    ]
    found: dict[str, Manifest] = {}
    left = list(manifests)
    for step in steps:
        names = [_file_name(step(one)) for one in left]
        counts = Counter(names)
        clashing = []
        for name, one in zip(names, left, strict=True):
            if counts[name] == 1 and name not in found:
                found[name] = one
            else:
                clashing.append(one)
        left = clashing
    assert not left, "no two objects have the same key"
    return found


def _file_name(parts: Iterable[str]) -> str:
    return re.sub(r"[^a-z0-9.-]", "-", "-".join(filter(None, parts)).lower()) + ".yaml"
