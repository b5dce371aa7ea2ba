"""What Azure DevOps' own Node client knows of its API: the fields of each type, out of its TypeScript declarations.

The description of the API itself is in no package.
"""

from __future__ import annotations

import re
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from tests.gitops import descriptions

PACKAGE = "azure-devops-node-api@17.0.1"
_FILES = ("GitInterfaces", "CoreInterfaces", "common/VSSInterfaces")

_INTERFACE = re.compile(r"^export interface (\w+)(?: extends ([\w.]+))? \{(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^ {4}(\w+)\??: ([^;]+);", re.MULTILINE)

Fields = dict[str, dict[str, str]]
"""Type of each field, by type."""


def declared() -> Fields:
    """The fields that requests may have, by type."""
    with descriptions.kept(PACKAGE) as folder:
        sources = [folder / f"{Path(name).name}.d.ts" for name in _FILES]
        if not all(source.exists() for source in sources):
            with tempfile.TemporaryDirectory() as work:
                descriptions.npm("pack", PACKAGE, cwd=Path(work))
                [archive] = Path(work).glob("*.tgz")
                with tarfile.open(archive) as packed:
                    for name, source in zip(_FILES, sources, strict=True):
                        member = packed.extractfile(f"package/interfaces/{name}.d.ts")
                        assert member is not None
                        source.write_bytes(member.read())
        found: Fields = {}
        parents: dict[str, str] = {}
        for source in sources:
            for name, parent, body in _INTERFACE.findall(source.read_text()):
                found.setdefault(name, dict(_FIELD.findall(body)))
                parents.setdefault(name, parent.rpartition(".")[2])
    return {name: {**found.get(parents[name], {}), **fields} for name, fields in found.items()}


def unknown(fields: Fields, kind: str, value: Any, at: str = "") -> list[str]:
    """The fields of a request's body that its type does not have."""
    found = []
    for key, item in value.items():
        if key not in fields[kind]:
            found.append(f"{at}{key} of {kind}")
            continue
        inner = fields[kind][key].removesuffix("[]").rpartition(".")[2]
        if inner in fields:
            for part in item if isinstance(item, list) else [item]:
                if isinstance(part, dict):
                    found += unknown(fields, inner, part, f"{at}{key}.")
    return found
