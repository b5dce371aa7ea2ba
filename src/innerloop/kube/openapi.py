"""The schemas that a server publishes: OpenAPI v3, a document for each group and version (KEP-2896, Kubernetes 1.27).

Whoever may log in may read them, other than CustomResourceDefinitions.
"""

from __future__ import annotations

from typing import Any

import msgspec

from innerloop.kube.client import Client

_REFERENCE = "#/components/schemas/"


class _Root(msgspec.Struct):
    paths: dict[str, dict[str, str]] = {}
    """``apis/apps/v1`` to where its document is: ``{serverRelativeURL: /openapi/v3/apis/apps/v1?hash=…}``."""


async def schemas(client: Client, api_version: str) -> dict[str, dict[str, Any]]:
    """The schemas of the kinds of an API version, by kind; empty when the server has no such version.

    ``$ref`` in them is the bare name of a type of Kubernetes. Raises ApiError, ConnectionFailed.
    """
    path = f"apis/{api_version}" if "/" in api_version else f"api/{api_version}"
    known: _Root | None = client.cache.get("openapi")
    if known is None or path not in known.paths:
        known = msgspec.convert(await client.request_json("GET", "/openapi/v3"), type=_Root)
        client.cache["openapi"] = known
    if path not in known.paths:
        return {}
    document = await client.request_json("GET", f"/openapi/v3/{path}")
    group, _, version = api_version.rpartition("/")
    found: dict[str, dict[str, Any]] = {}
    for schema in document["components"]["schemas"].values():
        for named in schema.get("x-kubernetes-group-version-kind") or ():
            if (named["group"], named["version"]) == (group, version):
                found[named["kind"]] = _with_bare_references(schema)
    return found


def _with_bare_references(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_bare_references(item) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str):
        return {"$ref": reference.removeprefix(_REFERENCE)}
    # a description beside a reference makes it an allOf with one member
    match node.get("allOf"):
        case [{"$ref": str()} as only]:
            return _with_bare_references(only)
    return {key: _with_bare_references(value) for key, value in node.items()}
