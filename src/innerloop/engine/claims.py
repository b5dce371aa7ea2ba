"""Who develops which service: one Lease per service, so that two sessions do not fight over a container.

A Lease (coordination.k8s.io/v1) is renewed while its session lives, deleted at its end, and taken over when it
expired or when its holder was a process of this machine that is gone (``kill -9``).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import socket
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from innerloop.deploy.identity import user_name
from innerloop.deploy.together import together
from innerloop.errors import LoopError, single_failure
from innerloop.events import Emit, Notice
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import Conflict, ConnectionFailed, Forbidden, KubeError, NotFound
from innerloop.manifest import ObjectKey
from innerloop.process_identity import boot_id, is_running, process_start

LEASE_SECONDS = 30
RENEW_SECONDS = 10.0
RETRY_SECONDS = 1.0
"""Between attempts at a lease whose namespace is yet to be made."""
ANSWER_SECONDS = 5.0
"""A renewal that takes longer tells that the cluster is away: nothing else in an idle session asks for anything."""
RELEASE_SECONDS = 1.0
"""An interrupt ends within two seconds: a lease that can't be deleted in this time is left to expire."""

PREFIX = "innerloop.dev/"


@contextlib.asynccontextmanager
async def claimed(
    client: Client, *, namespace: str, project: str, services: Iterable[str], folder: Path, emit: Emit
) -> AsyncIterator[None]:
    """Hold the claim on each service while the body runs.

    Raises LoopError that tells who develops a service, and where, when another session does. Without the right to
    write Leases a Notice tells that sessions can't see one another, and the body runs.
    """
    leases = {service: _lease(namespace, project, service, folder) for service in services}

    async def take(service: str) -> None:
        lease = leases[service]
        # without the right the renewal tells it; a namespace that is yet to be made has no other session
        with contextlib.suppress(NotFound, Forbidden):
            lease["metadata"]["uid"] = await _acquire(client, lease)

    try:
        await together(take, leases, name="claim")
        async with asyncio.TaskGroup() as group:
            trouble = _Trouble(emit)
            tasks = (_renew(client, lease, trouble) for lease in leases.values())
            renewals = [group.create_task(task, name="renew claim") for task in tasks]
            yield
            for renewal in renewals:
                renewal.cancel()
    except BaseExceptionGroup as failures:
        raise single_failure(failures) from None
    finally:
        await _release(client, leases.values())


async def held(client: Client, project: str, namespace: str) -> dict[str, dict[str, Any]]:
    """The live leases of a project, by service."""
    found, _ = await objects.list_all(
        client,
        "coordination.k8s.io/v1",
        "Lease",
        namespace=namespace,
        label_selector="app.kubernetes.io/managed-by=innerloop",
    )
    now = datetime.now(UTC)
    mine = [lease for lease in found if _note(lease, "project") == project and not is_free(lease, now)]
    return {_note(lease, "service"): lease for lease in mine}


def holder_of(lease: dict[str, Any]) -> str:
    """Who holds a lease, for people: ``ann@laptop in /src/vote (process 4711)``."""
    return f"{_note(lease, 'holder')} in {_note(lease, 'folder')} (process {_note(lease, 'pid')})"


def is_free(lease: dict[str, Any], now: datetime) -> bool:
    """Whether a lease may be taken over: it expired, or its holder was a process here that is gone."""
    spec = lease.get("spec") or {}
    renewed = spec.get("renewTime")
    if not spec.get("holderIdentity") or not renewed:
        return True
    if now - datetime.fromisoformat(renewed) > timedelta(seconds=spec.get("leaseDurationSeconds") or LEASE_SECONDS):
        return True
    if not _note(lease, "boot") or _note(lease, "boot") != boot_id():
        return False
    return not is_running(_note(lease, "pid"), _note(lease, "process-start"))


def lease_name(project: str, service: str) -> str:
    """An object name made of both; a hash keeps apart what the rules for names make equal."""
    plain = f"innerloop-dev-{project}-{service}"
    safe = re.sub(r"[^a-z0-9.-]+", "-", plain.lower()).strip("-.")
    return safe if safe == plain else f"{safe}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"


def _lease(namespace: str, project: str, service: str, folder: Path) -> dict[str, Any]:
    holder = f"{user_name()}@{socket.gethostname()}"
    notes = {
        "project": project,
        "service": service,
        "holder": holder,
        "folder": str(folder),
        "pid": str(os.getpid()),
        "process-start": process_start(os.getpid()),
        "boot": boot_id(),
    }
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": lease_name(project, service),
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "innerloop"},
            "annotations": {PREFIX + name: text for name, text in notes.items()},
        },
        "spec": {
            "holderIdentity": f"{holder}:{os.getpid()}",
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": _micro_time(),
            "renewTime": _micro_time(),
        },
    }


async def _acquire(client: Client, lease: dict[str, Any]) -> str:
    """Make the lease, and return its uid. Raises NotFound when its namespace is missing."""
    key = _key(lease)
    while True:
        try:
            made = await objects.create(client, lease)
            return str(made["metadata"]["uid"])
        except Conflict:
            there = await _look(client, key)
        if there is None:
            continue
        if not is_free(there, datetime.now(UTC)):
            raise LoopError(
                f"{_note(lease, 'service')} is being developed by {holder_of(there)}",
                detail=f"since {there['spec'].get('acquireTime')}, in namespace {key.namespace}",
                hint="end that session, choose another namespace, or develop other services: loop dev SERVICE",
            )
        # only the very lease that was looked at: another session may take it over at the same moment
        with contextlib.suppress(NotFound, Conflict):
            await objects.delete(client, key, uid=there["metadata"]["uid"])


async def _look(client: Client, key: ObjectKey) -> dict[str, Any] | None:
    with contextlib.suppress(NotFound):
        return await objects.get(client, key)
    return None


async def _renew(client: Client, lease: dict[str, Any], trouble: _Trouble) -> None:
    """Renew a lease as long as the session lives; one that is missing is made."""
    metadata = lease["metadata"]
    while True:
        await asyncio.sleep(RENEW_SECONDS if "uid" in metadata else RETRY_SECONDS)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                if "uid" not in metadata:
                    metadata["uid"] = await _acquire(client, lease)
                change = {"metadata": {"uid": metadata["uid"]}, "spec": {"renewTime": _micro_time()}}
                await objects.patch(client, _key(lease), change)
            trouble.is_over()
        except NotFound:
            metadata.pop("uid", None)
        except (TimeoutError, ConnectionFailed):
            trouble.tell("the cluster does not answer: nothing is synced until it does")
        except LoopError as error:
            # the session goes on without it: there may be no right to it
            trouble.tell(f"other sessions can't see this one: {error}", error.detail or "")


class _Trouble:
    """What keeps leases from being renewed: told once, whichever of them meets it first, and when it is over."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._told = False

    def tell(self, message: str, detail: str = "") -> None:
        if not self._told:
            self._emit(Notice(level="warning", message=message, detail=detail))
        self._told = True

    def is_over(self) -> None:
        if self._told:
            self._emit(Notice(level="info", message="the cluster answers, and other sessions see this one"))
        self._told = False


async def _release(client: Client, leases: Iterable[dict[str, Any]]) -> None:
    with contextlib.suppress(KubeError, TimeoutError):
        async with asyncio.timeout(RELEASE_SECONDS):
            for lease in [lease for lease in leases if "uid" in lease["metadata"]]:
                with contextlib.suppress(NotFound, Conflict):
                    await objects.delete(client, _key(lease), uid=lease["metadata"]["uid"])


def _note(lease: dict[str, Any], name: str) -> str:
    return str((lease["metadata"].get("annotations") or {}).get(PREFIX + name, ""))


def _key(lease: dict[str, Any]) -> ObjectKey:
    metadata = lease["metadata"]
    return ObjectKey(lease["apiVersion"], lease["kind"], metadata["namespace"], metadata["name"])


def _micro_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
