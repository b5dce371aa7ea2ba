"""The Lease of each session that has agents wait: found by its label, also by those who may not look at agents."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from innerloop.gitops.agents.records import ANNOTATION, Hold, Session
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import Conflict, Forbidden, NotFound
from innerloop.manifest import ObjectKey

API_VERSION = "coordination.k8s.io/v1"
LABEL = "innerloop.dev/truce"
MANAGED = {"app.kubernetes.io/managed-by": "innerloop", LABEL: "session"}


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What a session holds, as its Lease tells."""

    session: Session
    holds: tuple[Hold, ...] = ()


class Kept(NamedTuple):
    lease: Lease
    key: ObjectKey


def lease_key(session: Session, namespace: str) -> ObjectKey:
    return ObjectKey(API_VERSION, "Lease", namespace, f"innerloop-truce-{session.id}")


async def write(client: Client, lease: Lease, namespaces: Iterable[str]) -> str:
    """Make or renew a session's Lease in the first namespace that allows it; returns which, empty for none.

    Raises ApiError, ConnectionFailed.
    """
    for namespace in namespaces:
        key = lease_key(lease.session, namespace)
        body = _body(lease, key)
        with contextlib.suppress(NotFound, Forbidden):
            try:
                await objects.create(client, body)
            except Conflict:
                change = {"metadata": {"annotations": body["metadata"]["annotations"]}, "spec": body["spec"]}
                await objects.patch(client, key, change)
            return namespace
    return ""


async def remove(client: Client, key: ObjectKey) -> None:
    with contextlib.suppress(NotFound):
        await objects.delete(client, key)


async def read(client: Client, namespaces: Sequence[str] | None) -> list[Kept]:
    """All of them in some namespaces, None for the whole cluster; without the right to list there, none."""
    found: list[dict[str, Any]] = []
    selector = f"{LABEL}={MANAGED[LABEL]}"
    for namespace in [None] if namespaces is None else dict.fromkeys(namespaces):
        with contextlib.suppress(Forbidden):
            some, _ = await objects.list_all(client, API_VERSION, "Lease", namespace=namespace, label_selector=selector)
            found += some
    return [kept for one in found if (kept := _kept(one)) is not None]


def _body(lease: Lease, key: ObjectKey) -> dict[str, Any]:
    session = lease.session
    now, expires = datetime.now(UTC), datetime.fromisoformat(session.expires)
    return {
        "apiVersion": key.api_version,
        "kind": key.kind,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": MANAGED,
            "annotations": {ANNOTATION: msgspec.json.encode(lease).decode()},
        },
        "spec": {
            "holderIdentity": session.holder,
            "leaseDurationSeconds": max(1, round((expires - now).total_seconds())),
            "acquireTime": _micro(datetime.fromisoformat(session.since)),
            "renewTime": _micro(now),
        },
    }


def _kept(object: dict[str, Any]) -> Kept | None:
    metadata = object["metadata"]
    try:
        lease = msgspec.json.decode(metadata.get("annotations", {}).get(ANNOTATION, ""), type=Lease)
    except msgspec.DecodeError:
        return None
    return Kept(lease, ObjectKey(API_VERSION, "Lease", metadata["namespace"], metadata["name"]))


def _micro(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
