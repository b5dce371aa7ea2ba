"""Telling a session that someone else took away what it works on: by kubectl, helm, or a purge."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

from innerloop.engine.workloads import Workload
from innerloop.events import Emit, Notice
from innerloop.kube.client import Client
from innerloop.kube.watching import watch
from innerloop.manifest import TARGET_ANNOTATION, Manifest

SETTLE_SECONDS = 2.0
"""A workload that our own deployment removes is no longer guarded by then."""
HINT = "r deploys it again; without a terminal, start loop dev anew"


async def guard(client: Client, workload: Workload, emit: Emit) -> None:
    """Tell when a developed workload is removed, or replaced by one that is not developed; until cancelled.

    Raises ApiError when it may not be watched.
    """
    key = workload.key
    told = ""
    events = watch(client, key.api_version, key.kind, namespace=key.namespace, name=key.name)
    async with aclosing(events):
        async for type, object in events:
            message = ""
            if type == "DELETED":
                message = f"{key} was removed by someone else"
            elif type != "SYNCED" and not _is_developed({**object, "kind": key.kind}):
                message = f"{key} was changed by someone else: nothing is synced to it any more"
            if message and message != told:
                await asyncio.sleep(SETTLE_SECONDS)
                emit(Notice(level="warning", message=message, hint=HINT))
            told = message


def _is_developed(object: dict[str, Any]) -> bool:
    metadata = (Manifest(object).pod_template or {}).get("metadata") or {}
    return TARGET_ANNOTATION in (metadata.get("annotations") or {})
