"""Truces that nobody will end: their session is gone, or their time is over. Anyone may end them, from anywhere."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import NamedTuple

from innerloop import process_identity
from innerloop.gitops.agents import leases
from innerloop.gitops.agents.ending import Ended, end
from innerloop.gitops.agents.finding import served
from innerloop.gitops.agents.ownership import key_of
from innerloop.gitops.agents.records import Hold, Session, record_of
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import Forbidden
from innerloop.manifest import ObjectKey


class Standing(NamedTuple):
    """A truce as the cluster tells of it."""

    session: Session
    holds: tuple[Hold, ...]
    lease: ObjectKey | None
    """None: only the objects tell of it."""

    @property
    def over(self) -> str:
        """Why nobody will end it, for people; empty while its session may live."""
        if self.session.is_expired(datetime.now(UTC)):
            return f"expired at {self.session.expires}"
        return "its process is gone" if process_identity.is_dead(self.session.process) else ""


async def in_namespace(client: Client, namespace: str) -> list[Standing]:
    """The truces whose Lease is in a namespace; in a cluster without agents nothing is asked."""
    if not await served(client):
        return []
    return [_standing(kept) for kept in await leases.read(client, [namespace])]


async def everywhere(client: Client) -> list[Standing]:
    """All truces that may be seen in the cluster, by their Leases and by the objects that agents go by."""
    kept = await leases.read(client, None) or await leases.read(client, [client.access.namespace])
    found = {one.session.id: one for one in map(_standing, kept)}
    for session, hold in await _recorded(client):
        standing = found.setdefault(session.id, Standing(session, (), None))
        if all(known.key != hold.key for known in standing.holds):
            found[session.id] = standing._replace(holds=(*standing.holds, hold))
    return list(found.values())


async def resume(client: Client, standing: Standing) -> list[Ended]:
    """End a truce. Raises ConnectionFailed."""
    ended = await end(client, standing.session.id, standing.holds)
    if standing.lease is not None and not any(one.listed for one in ended):
        with contextlib.suppress(Forbidden):
            await leases.remove(client, standing.lease)
    return ended


def _standing(kept: leases.Kept) -> Standing:
    return Standing(kept.lease.session, kept.lease.holds, kept.key)


async def _recorded(client: Client) -> list[tuple[Session, Hold]]:
    """What the objects of agents tell themselves, for sessions whose Lease is gone or may not be seen."""
    found = []
    for resource in (await served(client)).values():
        with contextlib.suppress(Forbidden):
            some, _ = await objects.list_all(client, resource.api_version, resource.kind, namespace=None)
            for object in some:
                record = record_of(object)
                for party in record.parties if record else ():
                    hold = Hold(key_of(object), object["metadata"]["uid"], party.asks, record.changes if record else ())
                    found.append((party.session, hold))
    return found
