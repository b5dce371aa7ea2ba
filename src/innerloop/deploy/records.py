"""What an inventory holds, and its form in a ConfigMap.

One line per object, ``state uid hash apiVersion kind namespace name``, so that ``kubectl get configmap
innerloop-inventory-NAME -o yaml`` tells people the same. Long ones are compressed: a ConfigMap holds 1 MiB, which is
room for about 20,000 objects.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import quote, unquote
from zlib import error as ZlibError

import msgspec

from innerloop.deploy.identity import Owner
from innerloop.errors import LoopError
from innerloop.manifest import ObjectKey

FORMAT = "1"
LABEL = "innerloop.dev/inventory"
PROJECT_LABEL = "innerloop.dev/project"
COMPRESS_BYTES = 200_000
LIMIT_BYTES = 1_000_000
"""Of the content; Kubernetes allows 1 MiB for the ConfigMap with all that is around it."""


class State(StrEnum):
    PENDING = "pending"
    """It was not there when we looked, and we were about to create it."""
    CREATED = "created"
    ADOPTED = "adopted"
    """It was there before us: we changed it, and never delete it."""


class Identity(NamedTuple):
    """What stays the same when a manifest moves to another version of its API."""

    group: str
    kind: str
    namespace: str
    name: str


class Entry(msgspec.Struct, frozen=True):
    key: ObjectKey
    state: State
    uid: str = ""
    hash: str = ""
    """Of the manifest last applied; empty before."""

    @property
    def identity(self) -> Identity:
        return identity(self.key)


class Inventory(msgspec.Struct, frozen=True):
    """All objects that a project has in the cluster, recorded in its namespace."""

    project: str
    namespace: str
    owner: Owner
    entries: dict[Identity, Entry] = {}

    def with_entries(self, entries: Iterable[Entry]) -> Inventory:
        """A copy in which ``entries`` are added or replaced."""
        return msgspec.structs.replace(self, entries=self.entries | {entry.identity: entry for entry in entries})

    def merged(self, entries: Iterable[Entry], base: Inventory | None) -> Inventory:
        """As ``with_entries``, after somebody else may have written since ``base`` was read.

        Who finds an object that another run has just made takes it for one that was there before: then the other
        run's entry stays.
        """
        seen = base.entries if base else {}
        return self.with_entries(
            theirs if (theirs := self._made_meanwhile(entry, seen)) else entry for entry in entries
        )

    def without(self, entries: Iterable[Entry]) -> Inventory:
        """A copy that lacks ``entries``, except those that somebody has written anew."""
        gone = {entry.identity for entry in entries if self.entries.get(entry.identity) == entry}
        kept = {identity: entry for identity, entry in self.entries.items() if identity not in gone}
        return msgspec.structs.replace(self, entries=kept)

    def _made_meanwhile(self, entry: Entry, seen: Mapping[Identity, Entry]) -> Entry | None:
        theirs = self.entries.get(entry.identity)
        if entry.state is not State.ADOPTED or theirs is None or theirs == seen.get(entry.identity):
            return None
        same = theirs.state is State.PENDING or (theirs.state is State.CREATED and theirs.uid == entry.uid)
        return theirs if same else None


def identity(key: ObjectKey) -> Identity:
    return Identity(key.group, key.kind, key.namespace, key.name)


def config_map_name(project: str) -> str:
    """Of a project's inventory; a hash keeps apart what the rules for names make equal."""
    return f"innerloop-inventory-{_safe(project, 200)}"


def labels(project: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/managed-by": "innerloop",
        LABEL: f"v{FORMAT}",
        PROJECT_LABEL: _safe(project, 50),
    }


def manifest_hash(object: dict[str, Any]) -> str:
    """Tells whether a manifest is the one applied last; the order of keys does not count."""
    encoded = msgspec.json.encode(object, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:12]


def encode(inventory: Inventory) -> dict[str, Any]:
    """``data`` and ``binaryData`` of the ConfigMap. Raises LoopError when it holds too many objects."""
    text = "".join(f"{_line(entry)}\n" for entry in inventory.entries.values())
    data: dict[str, str | None] = {
        "format": FORMAT,
        "project": inventory.project,
        "repository": inventory.owner.repository,
        "origin": inventory.owner.origin,
        "objects": text,
    }
    if len(text) <= COMPRESS_BYTES:
        return {"data": data, "binaryData": {"objects.gz": None}}
    packed = gzip.compress(text.encode(), mtime=0)
    if len(packed) > LIMIT_BYTES:
        raise LoopError(
            f"project {inventory.project} has {len(inventory.entries)} objects, too many for one inventory",
            detail=f"the list of them takes {len(packed)} bytes compressed, a ConfigMap holds {LIMIT_BYTES}",
            hint="split the project into several",
        )
    # None removes a key in a merge patch, and is left out when the object is created
    return {"data": data | {"objects": None}, "binaryData": {"objects.gz": b64encode(packed).decode()}}


def decode(config_map: dict[str, Any]) -> Inventory:
    """The inventory in a ConfigMap. Raises LoopError when it is damaged or of another format."""
    metadata = config_map["metadata"]
    data = config_map.get("data") or {}
    where = f"ConfigMap/{metadata['name']} in namespace {metadata['namespace']}"
    if (found := data.get("format")) != FORMAT:
        raise LoopError(
            f"{where} has the inventory in format {found or 'unknown'}, this innerloop reads format {FORMAT}",
            hint="use the innerloop that wrote it, or a newer one",
        )
    try:
        packed = (config_map.get("binaryData") or {}).get("objects.gz")
        text = gzip.decompress(b64decode(packed)).decode() if packed else data.get("objects", "")
        entries = [_entry(line) for line in text.splitlines()]
    except (ValueError, OSError, EOFError, ZlibError) as error:
        raise LoopError(
            f"the inventory in {where} is damaged: {error}",
            hint="remove by hand what the project deployed, then this ConfigMap",
        ) from error
    return Inventory(
        project=data.get("project", ""),
        namespace=metadata["namespace"],
        owner=Owner(repository=data.get("repository", ""), origin=data.get("origin", "")),
        entries={entry.identity: entry for entry in entries},
    )


def _line(entry: Entry) -> str:
    key = entry.key
    # names of RBAC objects may have spaces and more (path segments): they are escaped, and stand last
    name = quote(key.name, safe=":@!$&'()*+,;= ")
    fields = (entry.state, entry.uid, entry.hash, key.api_version, key.kind, key.namespace, name)
    return " ".join(field or "-" for field in fields)


def _entry(line: str) -> Entry:
    state, *fields, name = line.split(" ", 6)
    uid, hash, api_version, kind, namespace = ("" if field == "-" else field for field in fields)
    return Entry(ObjectKey(api_version, kind, namespace, unquote(name)), State(state), uid, hash)


def _safe(project: str, limit: int) -> str:
    safe = re.sub(r"[^a-z0-9.-]+", "-", project.lower()).strip("-.")[:limit].strip("-.")
    return safe if safe == project else f"{safe}-{hashlib.sha256(project.encode()).hexdigest()[:8]}".lstrip("-")
