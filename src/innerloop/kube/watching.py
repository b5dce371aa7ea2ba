"""Following the objects of a kind for as long as someone listens.

Three generators inside one another: ``watch`` lists and starts over when the server has forgotten where we were
(410), ``_followed`` resumes when a connection ends, ``_connection`` is one request. On the wire a watch is one
JSON object a line: ``{"type": "ADDED", "object": {…}}`` (Kubernetes API concepts, "Efficient detection of changes").
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any, Literal, NamedTuple

import msgspec

from innerloop.kube.client import Client
from innerloop.kube.discovery import resource
from innerloop.kube.errors import (
    ApiError,
    ConnectionFailed,
    Gone,
    KubeError,
    ServerError,
    TooManyRequests,
    status_error,
)
from innerloop.kube.lines import Lines
from innerloop.kube.listing import list_all, selectors
from innerloop.kube.retrying import pauses

IDLE_SECONDS = 90.0
"""Silence after which a watch is taken for dead. Servers send a bookmark each minute (client-go: 1.17)."""
SERVER_SECONDS = (300, 600)
"""How long the server keeps one watch open; spread, so that watches of many clients do not end together."""

LASTING_SECONDS = 5.0
"""A connection that lasted longer was a good one, also when it brought nothing."""
REFUSAL_SECONDS = 10.0
"""How long a server must refuse (401, 403, 404) what it allowed before until that is taken for final."""


class WatchEvent(NamedTuple):
    type: Literal["ADDED", "MODIFIED", "DELETED", "SYNCED"]
    object: dict[str, Any]
    """Empty for SYNCED; for DELETED the last state."""


async def watch(
    client: Client,
    api_version: str,
    kind: str,
    *,
    namespace: str | None,
    name: str = "",
    label_selector: str = "",
    field_selector: str = "",
    idle_timeout: float = IDLE_SECONDS,
) -> AsyncGenerator[WatchEvent, None]:
    """What there is (ADDED each, then one SYNCED), then each change, for ever; ``namespace`` None means all.

    Survives lost connections and a restarted server without losing or doubling a change; changes that fell into a
    gap which the server has forgotten show as the difference. Objects are the caller's to keep, not to change.
    Raises what the first list raises, and later ApiError when the server refuses to go on (rights withdrawn, kind
    removed).
    """
    if name:
        field_selector = ",".join(filter(None, (f"metadata.name={name}", field_selector)))
    scope = _Scope(client, api_version, kind, namespace, label_selector, field_selector, idle_timeout)
    seen: dict[str, dict[str, Any]] = {}
    items, version = await scope.list()
    for event in _difference(seen, items):
        yield event
    yield WatchEvent("SYNCED", {})
    while True:
        try:
            async with aclosing(_followed(scope, version)) as events:
                async for event in events:
                    _remember(seen, event)
                    yield event
        except _Lost:
            items, version = await _listed_again(scope)
        for event in _difference(seen, items):
            yield event


class _Scope(NamedTuple):
    """What is watched."""

    client: Client
    api_version: str
    kind: str
    namespace: str | None
    label_selector: str
    field_selector: str
    idle_timeout: float

    async def list(self) -> tuple[list[dict[str, Any]], str]:
        return await list_all(
            self.client,
            self.api_version,
            self.kind,
            namespace=self.namespace,
            label_selector=self.label_selector,
            field_selector=self.field_selector,
        )


def _difference(seen: dict[str, dict[str, Any]], items: list[dict[str, Any]]) -> Iterator[WatchEvent]:
    """The changes between what was seen and what a list shows; ``seen`` is brought up to date."""
    now = {item["metadata"]["uid"]: item for item in items}
    for uid in [uid for uid in seen if uid not in now]:
        yield WatchEvent("DELETED", seen.pop(uid))
    for uid, item in now.items():
        before = seen.get(uid)
        seen[uid] = item
        if before is None:
            yield WatchEvent("ADDED", item)
        elif before["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
            yield WatchEvent("MODIFIED", item)


def _remember(seen: dict[str, dict[str, Any]], event: WatchEvent) -> None:
    uid = event.object["metadata"]["uid"]
    if event.type == "DELETED":
        seen.pop(uid, None)
    else:
        seen[uid] = event.object


class _Lost(Exception):
    """The server no longer knows where we were: only a new list tells what is there."""


async def _listed_again(scope: _Scope) -> tuple[list[dict[str, Any]], str]:
    patience = _Patience()
    while True:
        try:
            return await scope.list()
        except KubeError as error:
            await patience.wait(error)


async def _followed(scope: _Scope, version: str) -> AsyncGenerator[WatchEvent, None]:
    """Changes after ``version``, over as many connections as it takes. Raises _Lost, or ApiError for good."""
    clock = asyncio.get_running_loop().time
    patience = _Patience()
    while True:
        opened = clock()
        failure: KubeError | None = None
        try:
            async with aclosing(_connection(scope, version)) as events:
                async for type, object in events:
                    version = object["metadata"]["resourceVersion"]
                    patience.restore()
                    if type != "BOOKMARK":
                        yield WatchEvent(type, object)
        except Gone as error:
            raise _Lost from error
        except KubeError as error:
            failure = error
        if clock() - opened > LASTING_SECONDS:
            patience.restore()
        await patience.wait(failure)


class _Patience:
    """How long to wait after which failure, and when to give up."""

    def __init__(self) -> None:
        self.restore()

    def restore(self) -> None:
        """All is well again."""
        self._pauses = pauses()
        self._refused_at: float | None = None

    async def wait(self, error: KubeError | None) -> None:
        """Wait until it makes sense to try again; raises ``error`` where it does not."""
        now = asyncio.get_running_loop().time()
        if not isinstance(error, ConnectionFailed | TooManyRequests | ServerError | None):
            # a server that just started refuses what it will allow once it has read its roles and CRDs
            if self._refused_at is None:
                self._refused_at = now
            if now - self._refused_at > REFUSAL_SECONDS:
                raise error
        retry_after = error.retry_after if isinstance(error, ApiError) else None
        await asyncio.sleep(max(next(self._pauses), retry_after or 0))


async def _connection(
    scope: _Scope, version: str
) -> AsyncGenerator[tuple[Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"], dict[str, Any]], None]:
    """What one request brings until the server ends it. Raises what went wrong."""
    found = await resource(scope.client, scope.api_version, scope.kind)
    query = {
        **selectors(scope.label_selector, scope.field_selector),
        "watch": "true",
        "resourceVersion": version,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(random.randint(*SERVER_SECONDS)),
    }
    path = found.path(scope.namespace or "")
    lines = Lines()
    async with scope.client.open_stream(path, query=query, idle_timeout=scope.idle_timeout) as stream:
        async for chunk in stream.chunks:
            for line in lines.feed(chunk):
                type, object = decode(line)
                if type == "ERROR":
                    # expired in most cases; whatever it is, a new list mends it
                    raise _Lost from status_error(object)
                yield type, object


class _Line(msgspec.Struct):
    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    object: dict[str, Any]


_decoder = msgspec.json.Decoder(_Line)


def decode(line: bytes) -> tuple[Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"], dict[str, Any]]:
    """Type and object of one line of a watch. Raises ConnectionFailed for anything else."""
    try:
        event = _decoder.decode(line)
    except msgspec.DecodeError as error:
        raise ConnectionFailed("the watch was garbled on its way", detail=str(error)) from error
    return event.type, event.object
