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


def write_files(manifests: Iterable[Manifest], folder: Path, *, namespace: str = "") -> None:
    """One YAML file per object, named by ``by_file_name``; those of a former call that no object has are removed.

    Raises LoopError when a file is there that was not made by this, and when the disk refuses.
    """
    wanted = by_file_name(manifests, namespace)
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


def by_file_name(manifests: Iterable[Manifest], namespace: str) -> dict[str, Manifest]:
    """Objects by names for their files: ``deployment-web.yaml``, ``role-other-web.yaml`` outside of ``namespace``.

    Objects of two groups may have the same kind and name: the second one's file has the group in its name.
    """
    found: dict[str, Manifest] = {}
    for manifest in manifests:
        other = manifest.namespace if manifest.namespace != namespace else ""
        parts = filter(None, [manifest.kind, other, manifest.name])
        stem = re.sub(r"[^a-z0-9.-]", "-", "-".join(parts).lower())
        name = f"{stem}.yaml" if f"{stem}.yaml" not in found else f"{stem}-{manifest.key.group}.yaml"
        found[name] = manifest
    return found
