"""Who will undo changes of live objects, and when; and who has them wait meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from innerloop.gitops.agents.asks import Ask, LeaveFields, LeaveObject, Pause
from innerloop.gitops.agents.finding import Found
from innerloop.gitops.agents.ladder import reverts
from innerloop.gitops.agents.ownership import kind_of, target, target_of
from innerloop.gitops.agents.records import Session, original, record_of

Object = dict[str, Any]


class Waits(msgspec.Struct, frozen=True, kw_only=True):
    """A session that an applier leaves something alone for."""

    holder: str
    reason: str
    until: str
    """RFC 3339."""
    objects: tuple[str, ...]


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What one applier will do with the objects that it applies."""

    agent: str
    applier: str
    """``Application/vote``."""
    namespace: str = ""
    objects: tuple[str, ...] = ()
    undoes: str = ""
    """When changes are undone: ``within seconds``; empty: not by itself."""
    waits: tuple[Waits, ...] = ()
    unseen: str = ""
    """Why it may not be looked at, so that when is not known."""


def outlooks(found: Found) -> tuple[Outlook, ...]:
    """One for each applier."""
    appliers: dict[tuple[str, str], tuple[Object, list[Object]]] = {}
    for one in found.owned:
        for owner in one.owners:
            about = target_of(owner.object)
            appliers.setdefault((about.namespace, str(about)), (owner.object, []))[1].append(one.object)
    seen = [_outlook(applier, objects) for applier, objects in appliers.values()]
    return (*seen, *_unseen(found))


def _outlook(applier: Object, objects: list[Object]) -> Outlook:
    about, kind = target_of(applier), kind_of(applier)
    return Outlook(
        agent=kind.agent if kind else "",
        applier=str(about),
        namespace=about.namespace,
        objects=tuple(str(target_of(one)) for one in objects),
        undoes=reverts(original(applier)),
        waits=tuple(_waits(applier, objects)),
    )


def _waits(applier: Object, objects: list[Object]) -> Iterator[Waits]:
    waiting: dict[Session, list[str]] = {}
    for object in objects:
        about = target_of(object)
        for source in (applier, object):
            record = record_of(source)
            for party in record.parties if record else ():
                if any(_is_about(ask, object) for ask in party.asks):
                    names = waiting.setdefault(party.session, [])
                    names += [str(about)] if str(about) not in names else []
    for session, names in waiting.items():
        yield Waits(holder=session.holder, reason=session.reason, until=session.expires, objects=tuple(names))


def _is_about(ask: Ask, object: Object) -> bool:
    about = target_of(object)
    match ask:
        case Pause(key=None) | LeaveObject():
            return True
        case LeaveFields(key=key) | Pause(key=key):
            return key is not None and target(key) == about
        case _:
            return False


def _unseen(found: Found) -> Iterator[Outlook]:
    claims = dict.fromkeys(one.claim for one in found.unseen)
    for claim in claims:
        some = [one for one in found.unseen if one.claim == claim]
        yield Outlook(
            agent=claim.kind.agent,
            applier=f"{claim.kind.kind}/{claim.name}",
            namespace=claim.namespace,
            objects=tuple(str(one.about) for one in some),
            unseen=some[0].why,
        )
