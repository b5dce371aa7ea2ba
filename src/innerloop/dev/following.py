"""The logs of a service: all containers of all its pods, as long as it is wanted.

Each container has a follower of its own, from its first line to its pod's end. A restart goes on with the new
instance; a connection that breaks is resumed where it broke, without a line lost or doubled.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from typing import NamedTuple

from innerloop.dev.log_lines import Position, StampedLine, split_line
from innerloop.dev.pods import Pod, pods_of
from innerloop.errors import single_failure
from innerloop.events import Emit, LogLine
from innerloop.kube import logs
from innerloop.kube.client import Client
from innerloop.kube.errors import ConnectionFailed, Invalid, NotFound, ServerError, TooManyRequests
from innerloop.kube.listing import list_all
from innerloop.kube.retrying import pauses

LAST_WORDS_SECONDS = 10.0
"""How long the log of a deleted pod may still bring lines."""
STATUS_SECONDS = 5.0
"""Within this time the status of a container tells that it ended, else its log is taken up again."""


class Start(NamedTuple):
    """Where the log of a container that is there already begins."""

    since: str = ""
    """RFC 3339; empty: from its beginning."""
    tail: int | None = None


async def follow_logs(
    client: Client,
    *,
    service: str,
    namespace: str,
    selector: str,
    emit: Emit,
    since: str = "",
    tail: int | None = None,
) -> None:
    """Emit a LogLine for each line of all containers of the pods until cancelled.

    ``since`` (RFC 3339) and ``tail`` (lines of each container) limit what pods wrote that are there already; of new
    ones all is told. Raises ApiError when pods or logs may not be read.
    """
    followers = _Followers(_Source(client, namespace, service, emit), Start(since, tail))
    try:
        async with asyncio.TaskGroup() as tasks:
            async with aclosing(pods_of(client, namespace=namespace, selector=selector)) as changes:
                async for pods in changes:
                    followers.keep_up(pods, tasks)
    except BaseExceptionGroup as failures:
        raise single_failure(failures) from None


async def show_logs(
    client: Client, *, service: str, namespace: str, selector: str, emit: Emit, since: str = "", tail: int | None = None
) -> None:
    """Emit what the containers of the pods have written so far, one container after the other."""
    source = _Source(client, namespace, service, emit)
    pods, _ = await list_all(client, "v1", "Pod", namespace=namespace, label_selector=selector)
    for pod in pods:
        for container in _started(pod):
            await _Follower(source, pod["metadata"]["name"], container, Start(since, tail)).read_once()


class _Container(NamedTuple):
    name: str
    instance: int
    """How often it was restarted."""
    running: bool


def _started(pod: Pod) -> Iterator[_Container]:
    """The containers that have or had a log, in the order in which they start."""
    status = pod.get("status", {})
    for group in ("initContainerStatuses", "containerStatuses"):
        for one in status.get(group) or []:
            state, before = one.get("state") or {}, one.get("lastState") or {}
            if "running" in state or "terminated" in state or "terminated" in before:
                yield _Container(one["name"], one.get("restartCount", 0), "running" in state)


class _Source(NamedTuple):
    client: Client
    namespace: str
    service: str
    emit: Emit


class _Followers:
    """One for each container that has or had a log."""

    def __init__(self, source: _Source, start: Start) -> None:
        self._source = source
        self._start = start
        self._known: dict[tuple[str, str], tuple[_Follower, asyncio.Task[None]]] = {}

    def keep_up(self, pods: Sequence[Pod], tasks: asyncio.TaskGroup) -> None:
        """Follow what has started, tell what has changed, dismiss what is gone."""
        for pod in pods:
            name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
            for container in _started(pod):
                if (uid, container.name) not in self._known:
                    follower = _Follower(self._source, name, container, self._start)
                    task = tasks.create_task(follower.run(), name=f"log of {name}/{container.name}")
                    self._known[uid, container.name] = follower, task
                self._known[uid, container.name][0].notice(container)
        self._dismiss({pod["metadata"]["uid"] for pod in pods})
        self._start = Start()

    def _dismiss(self, alive: set[str]) -> None:
        loop = asyncio.get_running_loop()
        for key in [key for key in self._known if key[0] not in alive]:
            follower, task = self._known.pop(key)
            follower.dismiss()
            loop.call_later(LAST_WORDS_SECONDS, task.cancel)


class _Follower:
    """Reads the log of one container of one pod."""

    def __init__(self, source: _Source, pod: str, container: _Container, start: Start) -> None:
        self._source = source
        self._pod = pod
        self._container = container
        self._start = start
        self._position = Position()
        self._broken = False
        self._dismissed = False
        self._news = asyncio.Event()

    def notice(self, container: _Container) -> None:
        """The container's state, as the cluster tells it."""
        if container != self._container:
            self._container = container
            self._news.set()

    def dismiss(self) -> None:
        """The pod is gone: read what is left, then end."""
        self._dismissed = True
        self._news.set()

    async def run(self) -> None:
        """Read until the pod is gone."""
        waits = pauses()
        while True:
            instance = self._container.instance
            try:
                await self._read_on()
                waits = pauses()
            except NotFound:
                return
            except (ConnectionFailed, ServerError, TooManyRequests):
                self._broken = True
                await asyncio.sleep(next(waits))
                continue
            except Invalid:
                # waiting to start, for the first time or again
                pass
            if not await self._wait_for_news(instance):
                return

    async def read_once(self) -> None:
        """Read what there is."""
        with contextlib.suppress(NotFound, Invalid):
            await self._read(follow=False)

    async def _read_on(self) -> None:
        if self._broken:
            # the container may have been restarted meanwhile
            with contextlib.suppress(Invalid):
                await self._read(follow=False, previous=True)
            self._broken = False
        await self._read(follow=True)
        self._start = Start()

    async def _wait_for_news(self, instance: int) -> bool:
        """Returns whether there is, or may be, more to read."""
        while not self._dismissed and self._container.instance == instance:
            self._news.clear()
            try:
                async with asyncio.timeout(STATUS_SECONDS if self._container.running else None):
                    await self._news.wait()
            except TimeoutError:
                return True
        return not self._dismissed

    async def _read(self, *, follow: bool, previous: bool = False) -> None:
        resumed = bool(self._position.time)
        self._position.resume()
        lines = logs.follow(
            self._source.client,
            self._source.namespace,
            self._pod,
            self._container.name,
            since_time=self._position.time or self._start.since,
            tail=None if resumed else self._start.tail,
            follow=follow,
            previous=previous,
        )
        async with aclosing(lines):
            async for line in lines:
                stamped = split_line(line)
                if self._position.take(stamped):
                    self._emit(stamped)

    def _emit(self, line: StampedLine) -> None:
        event = LogLine(
            service=self._source.service,
            pod=self._pod,
            container=self._container.name,
            text=line.text,
            time=line.time,
        )
        self._source.emit(event)
