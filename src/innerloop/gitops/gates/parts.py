"""Parts of objects that may be anything: what an object should have is another gate's business."""

from __future__ import annotations

from typing import Any


def mapping(node: Any, *path: str) -> dict[str, Any]:
    """The mapping at a path; empty where there is none."""
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}


def mappings(node: Any) -> list[dict[str, Any]]:
    """The mappings of a list; empty where there is none."""
    return [item for item in node if isinstance(item, dict)] if isinstance(node, list) else []
