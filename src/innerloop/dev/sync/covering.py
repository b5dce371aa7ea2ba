"""Synced folders inside of each other in the container: the inner one covers its place in the outer, as mounts do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from innerloop.dev.sync.local_tree import SyncRoot


def covered_paths(roots: Sequence[SyncRoot]) -> list[frozenset[str]]:
    """Of each root, the paths below it that belong to another root; relative to it."""
    places = [_place(root) for root in roots]
    return [
        frozenset(place.removeprefix(outer) for place in places if not root.only and place.startswith(outer))
        for root in roots
        for outer in [f"{root.remote.rstrip('/')}/"]
    ]


def without(covered: frozenset[str], ignores: Callable[[str, bool], bool]) -> Callable[[str, bool], bool]:
    """``ignores``, which is asked about paths relative to a root, for what is covered, too."""
    if not covered:
        return ignores
    return lambda path, folder: is_covered(path, covered) or ignores(path, folder)


def _place(root: SyncRoot) -> str:
    """Where a root is in the container."""
    folder = root.remote.rstrip("/")
    return f"{folder}/{root.only.decode(errors='surrogateescape')}" if root.only else folder


def is_covered(path: str, covered: frozenset[str]) -> bool:
    """Whether a path relative to a root belongs to another one."""
    return path in covered or any(path.startswith(f"{place}/") for place in covered)
