"""Listing: in pages, so that neither side holds a large answer at once."""

from __future__ import annotations

from typing import Any

from innerloop.kube.client import Client
from innerloop.kube.discovery import resource
from innerloop.kube.errors import Gone

PAGE = 500


async def list_all(
    client: Client,
    api_version: str,
    kind: str,
    *,
    namespace: str | None,
    label_selector: str = "",
    field_selector: str = "",
) -> tuple[list[dict[str, Any]], str]:
    """All objects of a kind in ``namespace`` (None: in all), and the resource version from which to watch on.

    Each has its ``apiVersion`` and ``kind``. Raises ApiError, ConnectionFailed, UnknownKind.
    """
    found = await resource(client, api_version, kind)
    query = selectors(label_selector, field_selector)
    path = found.path(namespace or "")
    try:
        return await _pages(client, path, query, api_version, kind)
    except Gone:
        # the listing took longer than the server keeps old versions (5 minutes): once more, in one piece
        answer = await client.request_json("GET", path, query=query)
        return _items(answer, api_version, kind), answer["metadata"]["resourceVersion"]


def selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    """Query parameters of the selectors that are not empty."""
    query = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {name: value for name, value in query.items() if value}


async def _pages(
    client: Client, path: str, query: dict[str, str], api_version: str, kind: str
) -> tuple[list[dict[str, Any]], str]:
    items: list[dict[str, Any]] = []
    token = ""
    while True:
        page = {**query, "limit": str(PAGE)} | ({"continue": token} if token else {})
        answer = await client.request_json("GET", path, query=page)
        items += _items(answer, api_version, kind)
        token = answer["metadata"].get("continue") or ""
        if not token:
            return items, answer["metadata"]["resourceVersion"]


def _items(answer: dict[str, Any], api_version: str, kind: str) -> list[dict[str, Any]]:
    # items of built-in kinds come without them
    return [{"apiVersion": api_version, "kind": kind, **item} for item in answer.get("items") or []]
