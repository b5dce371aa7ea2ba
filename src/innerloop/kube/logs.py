"""What containers wrote."""

from __future__ import annotations

from collections.abc import AsyncGenerator

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
    path = (await resource(client, "v1", "Pod")).path(namespace, pod, "log")
    query: dict[str, str | int | bool] = {
        "container": container,
        "follow": follow,
        "previous": previous,
        "timestamps": timestamps,
    }
    if since_time:
        query["sinceTime"] = since_time
    if since_seconds is not None:
        query["sinceSeconds"] = since_seconds
    if tail is not None:
        query["tailLines"] = tail
    lines = Lines(LONGEST_LINE)
    try:
        async with client.open_stream(path, query=query, accept="*/*") as stream:
            async for chunk in stream.chunks:
                for line in lines.feed(chunk):
                    yield line
    except NotFound as error:
        raise _not_started(error) or error from error
    if rest := lines.rest():
        yield rest


def _not_started(error: NotFound) -> Invalid | None:
    """The error of a pod that its node has not heard of yet: kubelet's own 404 (1.36), passed on as "pods/log"."""
    if (error.body.get("details") or {}).get("kind") == "pods":
        return None
    return Invalid(400, "BadRequest", {**error.body, "message": "the node has not heard of the pod yet"})
