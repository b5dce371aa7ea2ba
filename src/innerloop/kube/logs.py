"""What containers wrote."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterator

from innerloop.kube.client import Client
from innerloop.kube.discovery import resource
from innerloop.kube.errors import Invalid, NotFound
from innerloop.kube.lines import Lines

LONGEST_LINE = 1 << 20


async def follow(
    client: Client,
    namespace: str,
    pod: str,
    container: str,
    *,
    since_time: str = "",
    since_seconds: int | None = None,
    tail: int | None = None,
    previous: bool = False,
    follow: bool = True,
    timestamps: bool = True,
) -> AsyncGenerator[bytes, None]:
    """Lines of a container's log, without newlines; with ``timestamps`` each begins with its time and a space.

    ``since_time`` is RFC 3339, cut to whole seconds by the server; ``previous`` reads the instance before the last
    restart. Ends when the log does, with ``follow`` when the container ended. Raises ConnectionFailed when the
    connection was cut before that, Invalid when the container has not started or there is no previous one,
    NotFound when the pod is gone.
    """
    query: dict[str, str | int | bool | None] = {
        "container": container,
        "follow": follow,
        "previous": previous,
        "timestamps": timestamps,
        "sinceTime": since_time or None,
        "sinceSeconds": since_seconds,
        "tailLines": tail,
    }
    path = (await resource(client, "v1", "Pod")).path(namespace, pod, "log")
    given = {name: value for name, value in query.items() if value is not None}
    lines = Lines(LONGEST_LINE)
    with _kubelet_read():
        async with client.open_stream(path, query=given, accept="*/*") as stream:
            async for chunk in stream.chunks:
                for line in lines.feed(chunk):
                    yield line
    if rest := lines.rest():
        yield rest


@contextlib.contextmanager
def _kubelet_read() -> Iterator[None]:
    """Tell a missing pod from one that its node has not heard of yet: kubelet's own 404, passed on (1.36)."""
    try:
        yield
    except NotFound as error:
        if (error.body.get("details") or {}).get("kind") == "pods":
            raise
        message = "the node has not heard of the pod yet"
        raise Invalid(400, "BadRequest", {**error.body, "message": message}) from error
