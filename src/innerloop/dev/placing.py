"""On which nodes a developed pod may land: the helper, and a built image, are programs for one architecture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ARCHITECTURE = "kubernetes.io/arch"
"""Well-known label of nodes, in Go's words: ``amd64``. https://kubernetes.io/docs/reference/labels-annotations-taints/"""
USUAL = "amd64"
"""Taken where the nodes may not be looked at: most clusters are."""

Labels = Mapping[str, str]


def place(spec: dict[str, Any], nodes: Sequence[Labels], made_for: str | None) -> str:
    """The architecture of the nodes that a pod of ``spec`` lands on.

    Where nodes of several take it, ``spec`` gets a node selector: for what its image is ``made_for`` (None: not
    known), else the first by name. ``nodes`` are the labels of each; empty where nobody may look at them.
    """
    if not nodes:
        return made_for or USUAL
    there = {labels[ARCHITECTURE] for labels in nodes if ARCHITECTURE in labels}
    selector: dict[str, str] = spec.get("nodeSelector") or {}
    fitting = {labels.get(ARCHITECTURE, "") for labels in nodes if selector.items() <= labels.items()} & there
    # where no node fits, one may come: an autoscaler makes them
    candidates = fitting or ({selector[ARCHITECTURE]} if ARCHITECTURE in selector else there)
    candidates = set(_wanted(spec)) & candidates or candidates
    chosen = made_for if made_for in candidates else min(candidates, default=made_for or USUAL)
    if len(candidates) > 1:
        spec["nodeSelector"] = {**selector, ARCHITECTURE: chosen}
    return chosen


def _wanted(spec: Mapping[str, Any]) -> Iterator[str]:
    """Architectures that a required node affinity names."""
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or []:
        for expression in term.get("matchExpressions") or []:
            if expression.get("key") == ARCHITECTURE and expression.get("operator") == "In":
                yield from expression.get("values") or []
