"""The rendered stream as text, always the same for the same objects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from innerloop.config import yaml
from innerloop.errors import LoopError
from innerloop.manifest import Manifest

MARK = "# Rendered by innerloop from "
"""How the files begin that ``write_files`` made, and may remove."""


def as_yaml(manifests: Sequence[Manifest]) -> str:
    """A stream of documents, each with a comment that tells its template."""
    return "".join(f"---\n# Source: {manifest.source}\n{yaml.dump_all([manifest.object])}" for manifest in manifests)


def as_json(manifests: Sequence[Manifest]) -> str:
    """A Kubernetes List."""
    items = [manifest.object for manifest in manifests]
    encoded = msgspec.json.encode({"apiVersion": "v1", "kind": "List", "items": items})
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


def write_files(manifests: Iterable[Manifest], folder: Path) -> None:
    """One YAML file per object, as ``deployment-web.yaml``; those of a former call that no object has are removed.

    Raises LoopError when a file is there that was not made by this, and when the disk refuses.
    """
    wanted = _named(manifests)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(folder.glob("*.yaml")):
            ours = file.read_text(errors="replace").startswith(MARK)
            if file.name in wanted and not ours:
                raise LoopError(f"{file} is there and was not rendered by innerloop", hint="choose another folder")
            if ours and file.name not in wanted:
                file.unlink()
        for name, manifest in wanted.items():
            (folder / name).write_text(f"{MARK}{manifest.source}\n{yaml.dump_all([manifest.object])}")
    except OSError as error:
        raise LoopError(f"cannot write {error.filename or folder}: {error.strerror}") from error


def _named(manifests: Iterable[Manifest]) -> dict[str, Manifest]:
    """By file name; objects of two groups may have the same kind and name."""
    found: dict[str, Manifest] = {}
    for manifest in manifests:
        parts = filter(None, [manifest.kind, manifest.namespace, manifest.name])
        stem = re.sub(r"[^a-z0-9.-]", "-", "-".join(parts).lower())
        name = f"{stem}.yaml" if f"{stem}.yaml" not in found else f"{stem}-{manifest.key.group}.yaml"
        found[name] = manifest
    return found
