"""What is kept of a truce, so that anyone can end it: on each object that was asked, and in a Lease per session.

On the object the annotation ``innerloop.dev/truce`` has the sessions with what they ask, and what was changed. The
Lease has the same for all objects of one session: it tells of them where their agents may not be looked at, and where
a parent has removed the annotation.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from innerloop.gitops.agents.asks import Ask, asked
from innerloop.gitops.agents.changes import Change, changes, undone
from innerloop.manifest import ObjectKey

Object = dict[str, Any]

ANNOTATION = "innerloop.dev/truce"
NOTICE = "notice.argocd.argoproj.io/content"
"""Argo CD shows it on the application since 3.5; earlier versions show all annotations alike."""
NOTICE_SEVERITY = "notice.argocd.argoproj.io/severity"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Who has agents wait, and until when."""

    id: str
    holder: str
    """``ann@laptop``."""
    reason: str
    """``loop dev of vote``."""
    folder: str
    since: str
    """RFC 3339, as ``expires``."""
    expires: str
    process: str = ""
    """Of a session that lives as long as a process: tells on the same machine whether it still runs."""

    def is_expired(self, now: datetime) -> bool:
        return datetime.fromisoformat(self.expires) < now


class Party(msgspec.Struct, frozen=True):
    """A session and what it asks of one object."""

    session: Session
    asks: tuple[Ask, ...]


class Record(msgspec.Struct, frozen=True):
    """Of one object."""

    parties: tuple[Party, ...] = ()
    changes: tuple[Change, ...] = ()

    def joined(self, session: Session, asks: Iterable[Ask]) -> Record:
        """With all that a session asks from now on, and its present end."""
        party = Party(session, tuple(dict.fromkeys(asks)))
        others = [one for one in self.parties if one.session.id != session.id]
        return msgspec.structs.replace(self, parties=(*others, party))

    def left(self, ids: Iterable[str]) -> Record:
        """Without some sessions."""
        gone = set(ids)
        return msgspec.structs.replace(self, parties=tuple(one for one in self.parties if one.session.id not in gone))


class Hold(msgspec.Struct, frozen=True):
    """An object that a session asked something of."""

    key: ObjectKey
    uid: str
    asks: tuple[Ask, ...]
    changes: tuple[Change, ...]


def record_of(object: Object) -> Record | None:
    """What an object tells of sessions; None where none asks anything of it, or the annotation cannot be read."""
    text = (object["metadata"].get("annotations") or {}).get(ANNOTATION)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Record)
    except msgspec.DecodeError:
        return None


def original(object: Object) -> Object:
    """An object as it is but for what sessions ask of it."""
    return with_record(object, Record(), record_of(object) or Record())[0]


def with_record(object: Object, record: Record, known: Record) -> tuple[Object, Record]:
    """A copy of an object as the parties of ``record`` want it, with the record on it; and that as it is there.

    ``known`` tells what was changed so far. Without parties the object is as it was before the first of them, except
    for what others have changed since.
    """
    before = _without_annotation(undone(object, known.changes))
    if not record.parties:
        return before, Record()
    wanted = asked(before, [ask for party in record.parties for ask in party.asks])
    wanted = _noticed(wanted, record) if before.get("kind") == "Application" else wanted
    made = Record(record.parties, changes(before, wanted))
    return _annotated(wanted, ANNOTATION, msgspec.json.encode(made).decode()), made


def _noticed(application: Object, record: Record) -> Object:
    told = "; ".join(
        f"{one.session.reason} by {one.session.holder} until {clock(one.session.expires)}" for one in record.parties
    )
    noticed = _annotated(application, NOTICE, f"waits for: {told}. loop doctor --resume ends it.")
    return _annotated(noticed, NOTICE_SEVERITY, "warning")


def clock(time: str) -> str:
    """A time of a record for people, in UTC."""
    return datetime.fromisoformat(time).astimezone(UTC).strftime("%H:%M UTC")


def _annotated(object: Object, name: str, value: str) -> Object:
    metadata = object["metadata"]
    return {**object, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), name: value}}}


def _without_annotation(object: Object) -> Object:
    metadata = object["metadata"]
    annotations = {name: value for name, value in (metadata.get("annotations") or {}).items() if name != ANNOTATION}
    others = {name: value for name, value in metadata.items() if name != "annotations"}
    # the API server keeps no empty annotations
    return {**object, "metadata": {**others, "annotations": annotations} if annotations else others}
