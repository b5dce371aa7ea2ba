"""Which images the nodes of a local cluster have.

Nodes tell their images by ``status.images``, at most 50 of them (the kubelet's ``nodeStatusMaxImages``, the largest
first), and some seconds late. Where that says nothing, our own memory of what was loaded does.
"""

from __future__ import annotations

import time
from typing import Any

from innerloop.build.records import read_record, write_record
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import Forbidden

REPORTED = 50
LATE_SECONDS = 300.0
"""Within which a node certainly reports anew (``nodeStatusReportFrequency``)."""


class Nodes:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def have(self, reference: str) -> bool:
        """Whether all nodes have an image by this name."""
        nodes = await self._list()
        return bool(nodes) and all(_has(node, reference) for node in nodes)

    async def remember(self, reference: str) -> None:
        """Note that an image was just loaded into all nodes."""
        for node in await self._list():
            write_record("loaded", _key(node, reference), time.time())

    async def _list(self) -> list[dict[str, Any]]:
        try:
            nodes, _ = await objects.list_all(self._client, "v1", "Node", namespace=None)
        except Forbidden:
            # who has rights in a namespace only may load all the same, each time anew
            return []
        return nodes


def _has(node: dict[str, Any], reference: str) -> bool:
    images = (node.get("status") or {}).get("images") or []
    if any(reference in (image.get("names") or ()) for image in images):
        return True
    loaded = read_record("loaded", _key(node, reference), float)
    return loaded is not None and (len(images) >= REPORTED or time.time() - loaded < LATE_SECONDS)


def _key(node: dict[str, Any], reference: str) -> str:
    return f"{reference} in {node['metadata']['uid']}"
