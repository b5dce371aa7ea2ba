"""A truce: agents leave alone what a session changes, for as long as it lives, and get it back when it ends."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from innerloop import process_identity
from innerloop.deploy.identity import user_name
from innerloop.errors import LoopError
from innerloop.events import Emit, Notice
from innerloop.gitops.agents import leases
from innerloop.gitops.agents.asks import Ask, Pause
from innerloop.gitops.agents.ending import Ended, end
from innerloop.gitops.agents.holding import Held, hold
from innerloop.gitops.agents.ladder import Step
from innerloop.gitops.agents.leases import Lease
from innerloop.gitops.agents.ownership import APPLICATION
from innerloop.gitops.agents.reconciling import await_heard
from innerloop.gitops.agents.records import Hold, Record, Session
from innerloop.kube.client import Client
from innerloop.kube.errors import ConnectionFailed, NotFound
from innerloop.manifest import ObjectKey

SESSION_LASTS = timedelta(minutes=10)
"""Without a renewal: a laptop that sleeps longer gives back what it held."""
RENEW_SECONDS = 120.0
ANSWER_SECONDS = 20.0


def new_session(reason: str, folder: Path, *, lasts: timedelta) -> Session:
    """A session of this process."""
    now = datetime.now(UTC)
    return Session(
        id=secrets.token_hex(5),
        holder=f"{user_name()}@{socket.gethostname()}",
        reason=reason,
        folder=str(folder),
        since=now.isoformat(timespec="seconds"),
        expires=(now + lasts).isoformat(timespec="seconds"),
        process=process_identity.own(),
    )


class Truce:
    """What one session holds; ``holds`` already from before. ``namespaces``: where its Lease may be, the best first."""

    def __init__(
        self, client: Client, session: Session, namespaces: Iterable[str], emit: Emit, holds: Iterable[Hold] = ()
    ) -> None:
        self._client = client
        self._session = session
        self._namespaces = tuple(namespaces)
        self._emit = emit
        self._holds = {hold.key: hold for hold in holds}
        self._paused: frozenset[ObjectKey] = frozenset()
        """Applications between ``keep`` and ``applied``."""
        self._lease_in = ""
        self._writing = asyncio.Lock()

    @property
    def holds(self) -> bool:
        return bool(self._holds)

    async def keep(self, steps: Iterable[Step]) -> list[Step]:
        """Before an apply: ask all that has to be asked, in order, and wait until the agents go by it.

        An Application that leaves something alone is paused as well, until ``applied``: what it just compares with git
        would be older than the apply. Returns the steps that were not taken before. Raises ApiError, ConnectionFailed;
        what was asked until then stays so until ``end``.
        """
        steps = list(steps)
        async with self._writing:
            new = [step for step in steps if step.ask not in self._asks(step.asked)]
            appliers = {step.asked for step in steps if step.applier == step.asked}
            for key in dict.fromkeys(step.asked for step in steps):
                some = [step for step in steps if step.asked == key]
                asks = [*self._asks(key), *(step.ask for step in some)]
                await self._hold(key, asks, paused=_is_application(key))
                if key in appliers:
                    await self._heard(key)
            # who goes by what is written on other objects is waited for once, for all of them
            for applier in dict.fromkeys(step.applier for step in steps):
                if applier is not None and applier not in appliers:
                    await self._heard(applier)
        return new

    async def _heard(self, applier: ObjectKey) -> None:
        if amiss := await await_heard(self._client, applier):
            self._emit(Notice(level="warning", message=amiss))

    async def applied(self) -> None:
        """After an apply whose objects are ready: Applications go on with all that the session does not change."""
        async with self._writing:
            for key in [key for key in self._holds if key in self._paused]:
                await self._hold(key, self._asks(key))

    async def outlive(self) -> None:
        """What was asked stays so when this process ends, until its time is over."""
        async with self._writing:
            self._session = msgspec.structs.replace(self._session, process="")
            for key in list(self._holds):
                await self._hold(key, self._asks(key))

    async def renew(self) -> None:
        """Until cancelled: keep the truce from running out. Trouble is told, once."""
        told = ""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            trouble = ""
            try:
                async with asyncio.timeout(ANSWER_SECONDS), self._writing:
                    await self._renew()
            except (TimeoutError, ConnectionFailed):
                trouble = "the cluster does not answer"
            except LoopError as error:
                trouble = str(error)
            if trouble and trouble != told:
                message = f"the truce cannot be renewed: {trouble}"
                self._emit(Notice(level="warning", message=message, hint=f"it ends at {self._session.expires}"))
            told = trouble

    async def end(self) -> list[Ended]:
        """Give everything back as it was, and wait until the agents have what git asks for."""
        async with self._writing:
            ended = await end(self._client, self._session.id, list(self._holds.values()))
            if self._lease_in and not any(one.listed for one in ended):
                await leases.remove(self._client, leases.lease_key(self._session, self._lease_in))
            self._holds = {}
        return ended

    def _asks(self, key: ObjectKey) -> tuple[Ask, ...]:
        return self._holds[key].asks if key in self._holds else ()

    async def _hold(self, key: ObjectKey, asks: Iterable[Ask], *, paused: bool = False) -> Held:
        wanted = tuple(dict.fromkeys(asks))
        now = datetime.now(UTC)

        async def announce(live: dict[str, Any], record: Record) -> None:
            self._holds[key] = Hold(key, live["metadata"]["uid"], wanted, record.changes)
            # before anything is changed: then it is known whatever happens
            await self._write_lease()

        def change(record: Record) -> Record:
            expired = [party.session.id for party in record.parties if party.session.is_expired(now)]
            return record.left(expired).joined(self._session, (*wanted, Pause()) if paused else wanted)

        held = await hold(self._client, key, change, announce=announce)
        self._paused = self._paused | {key} if paused else self._paused - {key}
        return held

    async def _renew(self) -> None:
        if not self._holds:
            return
        expires = (datetime.now(UTC) + SESSION_LASTS).isoformat(timespec="seconds")
        self._session = msgspec.structs.replace(self._session, expires=expires)
        for key in list(self._holds):
            try:
                held = await self._hold(key, self._asks(key), paused=key in self._paused)
            except NotFound:
                del self._holds[key]
                continue
            if all(party.session.id != self._session.id for party in held.before.parties):
                message = f"{key} was given back to its agent meanwhile, and is asked again"
                self._emit(Notice(level="warning", message=message, hint="r deploys what it has undone"))
        await self._write_lease()

    async def _write_lease(self) -> None:
        anywhere = [*self._namespaces, *(key.namespace for key in self._holds)]
        namespaces = [self._lease_in] if self._lease_in else anywhere
        lease = Lease(session=self._session, holds=tuple(self._holds.values()))
        self._lease_in = await leases.write(self._client, lease, filter(None, dict.fromkeys(namespaces)))


def _is_application(key: ObjectKey) -> bool:
    return (key.group, key.kind) == (APPLICATION.group, APPLICATION.kind)
