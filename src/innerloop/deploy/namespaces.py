"""The project's namespace: made when it is missing, known as ours by its label from its first moment on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple

from innerloop.deploy import looking, sharing
from innerloop.deploy.contents import foreign_objects, some
from innerloop.deploy.going import await_gone
from innerloop.deploy.records import Entry, State
from innerloop.deploy.sharing import Share
from innerloop.errors import LoopError
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import Conflict, Forbidden, NotFound
from innerloop.manifest import ObjectKey

DELETED_SECONDS = 120.0
"""How long a namespace that is being deleted may take until we make it anew."""


def key_of(namespace: str) -> ObjectKey:
    return ObjectKey("v1", "Namespace", "", namespace)


class Ensured(NamedTuple):
    entry: Entry | None
    """For the inventory; None when the namespace is not ours to remove."""
    made: bool


async def ensure(client: Client, namespace: str, ours: Share, tell: Callable[[str], None]) -> Ensured:
    """Make the namespace when there is none.

    One that another deployment of ours made becomes part of this one too, so that the last one removes it. Raises
    LoopError when we may not make it.
    """
    try:
        live = await looking.look(client, key_of(namespace))
    except Forbidden:
        # who has rights inside only is not allowed to look; the next request tells whether it is there
        return Ensured(None, made=False)
    if live is not None and live.get("deletionTimestamp"):
        tell(f"namespace {namespace} is being deleted")
        await objects.wait_deleted(client, key_of(namespace), uid=live["uid"], timeout=DELETED_SECONDS)
        live = None
    if live is None:
        # None: somebody else was faster
        return await _create(client, namespace, ours) or await ensure(client, namespace, ours, tell)
    if not sharing.sharers(live) or not await _join(client, namespace, live, ours):
        return Ensured(None, made=False)
    return Ensured(_entry(namespace, live), made=False)


async def dissolve(
    client: Client,
    namespace: str,
    ours: Share,
    *,
    claims: Iterable[ObjectKey],
    project: str,
    timeout: float,
    tell: Callable[[str], None],
) -> str | None:
    """Remove the namespace if it is ours alone, and nothing is in it but the project's objects and ``claims``.

    Returns None when it is gone, else why it stays; that is empty where it is not, or no longer, ours to remove.
    """
    key = key_of(namespace)
    deadline = asyncio.get_running_loop().time() + timeout
    try:
        live = await looking.look(client, key)
        if live is None or ours.label not in sharing.sharers(live):
            return ""
        if sharing.others(live, ours):
            # nothing to tell: it goes with the last, which with a project's dependencies is a moment later
            await objects.patch(client, key, {"metadata": {"labels": {ours.label: None}}})
            return ""
        if foreign := await foreign_objects(client, namespace, claims, project):
            return f"it has what we did not put there: {some(foreign)}"
        # the namespace controller comes back for what has finalizers only after 15 s (Kubernetes 1.36)
        await _delete_claims(client, claims, deadline, tell)
        await objects.delete(client, key, uid=live["uid"], resource_version=live["resourceVersion"])
    except NotFound:
        return None
    except Conflict:
        # another purge may have been faster
        live = await looking.look(client, key)
        if live is not None and not live.get("deletionTimestamp"):
            return "somebody else changed it at this moment"
    except Forbidden as error:
        return f"no right to remove it: {error.message}"
    if live is None:
        return None
    tell(f"namespace {namespace} is ending")
    return await _ending(client, key) if await await_gone(client, {key: live["uid"]}, deadline, tell) else None


async def _delete_claims(
    client: Client, claims: Iterable[ObjectKey], deadline: float, tell: Callable[[str], None]
) -> None:
    deleting = {}
    for claim in claims:
        if live := await looking.look(client, claim):
            await objects.delete(client, claim, uid=live["uid"])
            deleting[claim] = live["uid"]
    await await_gone(client, deleting, deadline, tell)


async def _create(client: Client, namespace: str, ours: Share) -> Ensured | None:
    labels = {"app.kubernetes.io/managed-by": "innerloop", ours.label: ours.value}
    wanted = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
    try:
        made = await objects.create(client, wanted)
    except Conflict:
        return None
    except Forbidden as error:
        raise LoopError(
            f"namespace {namespace} does not exist, and you have no right to create it",
            detail=error.message,
            hint=f"ask who runs the cluster: kubectl create namespace {namespace} && kubectl create rolebinding NAME"
            f" --clusterrole=admin --user=YOU --namespace={namespace}; or choose another: loop use namespace NAME",
        ) from error
    return Ensured(_entry(namespace, made["metadata"]), made=True)


async def _join(client: Client, namespace: str, live: looking.Metadata, ours: Share) -> bool:
    if ours.label in sharing.sharers(live):
        return True
    try:
        await objects.patch(client, key_of(namespace), {"metadata": {"labels": {ours.label: ours.value}}})
    except Forbidden:
        return False  # then it is not ours to remove either
    return True


def _entry(namespace: str, metadata: looking.Metadata) -> Entry:
    return Entry(key_of(namespace), State.CREATED, metadata["uid"])


async def _ending(client: Client, key: ObjectKey) -> str:
    """What holds up a namespace, in the words of its controller."""
    try:
        found = await objects.get(client, key)
    except NotFound:
        return "it went just now"
    conditions = (found.get("status") or {}).get("conditions") or []
    words = [one["message"] for one in conditions if one.get("status") == "True" and one.get("message")]
    return "; ".join(["it is still ending", *words])
