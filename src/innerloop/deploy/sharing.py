"""Objects outside the project's namespace: who of all projects uses them.

A ClusterRole, a CRD or a Namespace may be part of several deployments, and the inventory's own namespace may be
deleted by hand. So what we create outside carries a label for each deployment that has it,
``part-of.innerloop.dev/ID: NAMESPACE.PROJECT``: the last one that goes removes the object, and what was there before
any of them has no such label and stays. Objects in the project's namespace are applied exactly as rendered.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

PREFIX = "part-of.innerloop.dev/"


class Share(NamedTuple):
    """The label of one deployment."""

    label: str
    value: str


def share(project: str, namespace: str) -> Share:
    """The label of a project's deployment in a namespace."""
    digest = hashlib.sha256(f"{namespace}/{project}".encode()).hexdigest()[:16]
    value = f"{namespace}.{project}"
    # for people only: where the name is no label value, the namespace has to do
    fits = len(value) <= 63 and all(c.isascii() and (c.isalnum() or c in "-_.") for c in value) and value[-1].isalnum()
    return Share(PREFIX + digest, value if fits else namespace)


def sharers(metadata: dict[str, Any]) -> dict[str, str]:
    """The labels of all deployments that have the object; empty when none of them made it."""
    labels = metadata.get("labels") or {}
    return {name: value for name, value in labels.items() if name.startswith(PREFIX)}


def others(metadata: dict[str, Any], ours: Share) -> list[str]:
    """Who else has the object, for people."""
    return sorted(value for name, value in sharers(metadata).items() if name != ours.label)


def shared(object: dict[str, Any], live: dict[str, Any] | None, ours: Share) -> dict[str, Any]:
    """A copy of an object to apply with the labels it needs beside its own.

    ``live`` is the metadata of what is there. Its version goes along, so that the server refuses when another
    deployment joins at the same moment.
    """
    if live is not None and not sharers(live):
        return object  # it was there before all of us
    metadata = dict(object["metadata"])
    metadata["labels"] = {**(metadata.get("labels") or {}), **sharers(live or {}), ours.label: ours.value}
    if live is not None:
        metadata["resourceVersion"] = live["resourceVersion"]
    return {**object, "metadata": metadata}
