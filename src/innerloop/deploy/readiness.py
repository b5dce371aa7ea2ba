"""Waiting until objects are ready, by watches; tells the cause while it waits and when it gives up.

One watch per kind and namespace. Only where something is not ready at the first look are pods, ReplicaSets and Events
of its namespace watched too. Which causes end the wait before its time-out, and when, see ``causes.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import aclosing
from typing import Any

from innerloop.deploy.causes import Cause
from innerloop.deploy.giving_up import NotReady, failure_events, not_ready
from innerloop.deploy.judging import EXPLAINED_KINDS, Item
from innerloop.deploy.last_words import last_lines
from innerloop.deploy.status import Status, can_wait
from innerloop.deploy.surroundings import Surroundings
from innerloop.deploy.together import together
from innerloop.events import Emit, Notice, StepDone, StepProgress, StepStarted
from innerloop.kube.client import Client
from innerloop.kube.errors import ApiError, KubeError
from innerloop.kube.watching import watch
from innerloop.manifest import ObjectKey

__all__ = ["NotReady", "wait_ready"]

MOST_LOGS = 5
"""Of how many objects the last lines are told: after those nobody reads on."""


async def wait_ready(client: Client, keys: Iterable[ObjectKey], *, emit: Emit, timeout: float) -> None:
    """Return when all objects are ready; reports one step ``ready/KIND/NAME`` for each kind that can be unready.

    Raises NotReady after ``timeout`` seconds, or as soon as one of them is not going to become ready by itself;
    ApiError, ConnectionFailed.
    """
    watched = [key for key in dict.fromkeys(keys) if can_wait(key)]
    if watched:
        await _Wait(client, watched, emit).run(timeout)


class _Wait:
    """One wait: tasks feed in what they see, the loop of ``_settle`` judges the objects that it may concern."""

    def __init__(self, client: Client, keys: list[ObjectKey], emit: Emit) -> None:
        self._client = client
        self._emit = emit
        self._now = asyncio.get_running_loop().time
        self._items = {key: Item(key, self._now()) for key in keys}
        """Those that are not ready yet."""
        self._keys: dict[str, ObjectKey] = {}
        self._surroundings = Surroundings()
        self._surrounding: dict[str, set[str]] = {}
        """Namespace to the kinds that have not been seen yet."""
        self._lines: dict[tuple[str, str, int], list[str]] = {}
        self._dirty: set[ObjectKey] = set()
        self._changed = asyncio.Event()
        self._error: KubeError | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, timeout: float) -> None:
        groups: dict[tuple[str, str, str], list[ObjectKey]] = {}
        for key, item in self._items.items():
            self._emit(StepStarted(step=item.step, title=item.title))
            groups.setdefault((key.api_version, key.kind, key.namespace), []).append(key)
        async with asyncio.TaskGroup() as self._group:
            for group in groups.values():
                self._start(self._follow(group), f"wait for {group[0].kind}")
            failed = await self._settle(self._now() + timeout)
            for task in self._tasks:
                task.cancel()
        if self._error:
            raise self._error
        if self._items:
            raise await self._give_up(failed, timeout)

    async def _settle(self, deadline: float) -> dict[ObjectKey, Status]:
        """Judge what changed until all is ready, something failed (returned), or time is up."""
        while True:
            self._changed.clear()
            dirty, self._dirty = self._dirty, set()
            verdicts = {
                key: self._judge(self._items[key]) for key in dirty if key in self._items and self._items[key].listed
            }
            failed = {key: verdict for key, verdict in verdicts.items() if verdict.state == "failed"}
            if failed or not self._items or self._error or self._now() >= deadline:
                return failed
            next_look = min(item.expires for item in self._items.values())
            try:
                async with asyncio.timeout_at(min(deadline, next_look)):
                    await self._changed.wait()
            except TimeoutError:
                self._dirty |= {key for key, item in self._items.items() if item.expires <= self._now()}

    def _judge(self, item: Item) -> Status:
        """Judge one object and report what is new about it."""
        surrounded = item.key.kind not in EXPLAINED_KINDS or self._surrounding.get(item.key.namespace) == set()
        verdict = item.judge(self._surroundings, self._lines, self._now(), surrounded=surrounded)
        if verdict.state == "ready":
            del self._items[item.key]
            seconds = self._now() - item.started
            self._emit(StepDone(step=item.step, title=item.title, seconds=seconds, summary=verdict.message))
            return verdict
        if item.object is not None and item.key.kind in EXPLAINED_KINDS:
            self._surround(item.key.namespace)
        if verdict.message != item.message:
            item.message = verdict.message
            self._emit(StepProgress(step=item.step, message=verdict.message))
        if item.cause and item.cause.logs:
            self._read_lines(item.key, item.cause)
        return verdict

    async def _follow(self, keys: list[ObjectKey]) -> None:
        """Feed in the objects of one kind and namespace."""
        first = keys[0]
        wanted = {key.name: key for key in keys}
        name = first.name if len(keys) == 1 else ""
        try:
            async with aclosing(
                watch(self._client, first.api_version, first.kind, namespace=first.namespace or None, name=name)
            ) as events:
                async for type, object in events:
                    if type == "SYNCED":
                        for key in keys:
                            self._items[key].listed = True
                        self._touch(keys)
                    elif (found := wanted.get(object["metadata"]["name"])) and (item := self._items.get(found)):
                        item.object = None if type == "DELETED" else object
                        self._keys[object["metadata"]["uid"]] = found
                        self._touch([found])
        except KubeError as error:
            self._error = error
            self._changed.set()

    def _surround(self, namespace: str) -> None:
        """Begin to watch what goes on around the objects of a namespace."""
        if namespace in self._surrounding:
            return
        kinds = {"Pod": "v1", "Event": "v1", "ReplicaSet": "apps/v1"}
        self._surrounding[namespace] = set(kinds)
        for kind, api_version in kinds.items():
            self._start(self._follow_surroundings(api_version, kind, namespace), f"watch {kind} in {namespace}")

    async def _follow_surroundings(self, api_version: str, kind: str, namespace: str) -> None:
        try:
            async with aclosing(watch(self._client, api_version, kind, namespace=namespace)) as events:
                async for type, object in events:
                    if type == "SYNCED":
                        self._surrounding[namespace].discard(kind)
                        self._touch(self._items)
                        continue
                    touched = self._surroundings.feed(type, object)
                    self._touch(key for uid in touched if (key := self._keys.get(uid)))
        except ApiError as error:
            # whether objects are ready can be told without, only not why
            self._emit(Notice(level="info", message=f"can't tell why objects are not ready: {error.message}"))
            self._surrounding[namespace].discard(kind)
            self._touch(self._items)
        except KubeError as error:
            self._error = error
            self._changed.set()

    def _read_lines(self, key: ObjectKey, cause: Cause) -> None:
        about = (cause.pod, cause.container, cause.restarts)
        if about in self._lines:
            return
        self._lines[about] = []

        async def read() -> None:
            self._lines[about] = await last_lines(self._client, key.namespace, cause)
            self._touch([key])

        self._start(read(), f"last lines of {cause.pod}")

    async def _give_up(self, failed: dict[ObjectKey, Status], timeout: float) -> NotReady:
        items = sorted(self._items.values(), key=lambda item: item.key not in failed)
        with_logs = [item for item in items if item.cause and item.cause.logs][:MOST_LOGS]

        async def read(item: Item) -> list[str]:
            return await last_lines(self._client, item.key.namespace, item.cause) if item.cause else []

        logs = await together(read, with_logs, name="last lines")
        lines = dict(zip((item.key for item in with_logs), logs, strict=True))
        messages = {key: verdict.message for key, verdict in failed.items()}
        for event in failure_events(items, messages, lines, self._now(), timeout):
            self._emit(event)
        return not_ready(items, messages, lines, timeout)

    def _touch(self, keys: Iterable[ObjectKey]) -> None:
        before = len(self._dirty)
        self._dirty.update(keys)
        if len(self._dirty) > before:
            self._changed.set()

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(self._group.create_task(work, name=name))
