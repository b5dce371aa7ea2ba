"""Who set which field of an object, by its ``managedFields`` (Kubernetes 1.22)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from innerloop.gitops.harvest.fields import Path, Step, flatten, steps

Owners = dict[Path, list[str]]
"""Field to the names of its managers."""

_PROGRAMS = re.compile(
    r"kubelet|kube-.*|.*controller.*|.*operator.*|.*autoscaler.*|.*webhook.*|vpa-.*|keda.*|argocd.*|flux.*|istio.*",
    re.IGNORECASE,
)
"""Managers that act by themselves: what they set is no decision that somebody would keep in a template."""


def is_person(manager: str, own: str) -> bool:
    """Whether somebody stands behind a manager: not this tool (named ``own``, its parts ``own-…``), no controller."""
    return not _PROGRAMS.fullmatch(manager) and manager != own and not manager.startswith(f"{own}-")


def owners(live: dict[str, Any]) -> Owners:
    """The managers of every field that has one; those that only wrote the status are left out."""
    claims: Owners = {}
    for entry in live["metadata"].get("managedFields") or []:
        if entry.get("subresource") == "status":
            continue
        manager = str(entry.get("manager", ""))
        for path in _claimed(entry.get("fieldsV1") or {}, live, ()):
            if manager not in claims.setdefault(path, []):
                claims[path].append(manager)
    found = {path: _nearest(claims, path) for path in flatten(live)}
    return {path: managers for path, managers in found.items() if managers}


def _nearest(claims: Owners, path: Path) -> list[str]:
    """Who claims a field, or else the nearest of what it is in: lists that are one value, what was once empty."""
    return next((claims[path[:end]] for end in range(len(path), 0, -1) if path[:end] in claims), [])


def _claimed(fields: dict[str, Any], node: Any, path: Path) -> Iterator[Path]:
    inner = {name: below for name, below in fields.items() if name != "."}
    if not inner:
        # '.' alone: the mapping or list as such, of whose content others decide
        if not fields or node in ({}, []):
            yield path
        return
    for name, below in inner.items():
        for step, child in _children(name, node, path):
            yield from _claimed(below, child, (*path, step))


def _children(name: str, node: Any, path: Path) -> Iterator[tuple[Step, Any]]:
    """What a name of ``fieldsV1`` means here; nothing where the field is gone meanwhile."""
    kind, _, told = name.partition(":")
    if kind == "f":
        if isinstance(node, dict) and told in node:
            yield told, node[told]
        return
    if not isinstance(node, list):
        return
    for step, item in zip(steps(path[-1] if path else None, node), node, strict=True):
        if _is_meant(kind, told, item):
            yield step, item


def _is_meant(kind: str, told: str, item: Any) -> bool:
    value = json.loads(told)
    if kind == "k":
        return isinstance(item, dict) and item.items() >= value.items()
    return bool(item == value)
