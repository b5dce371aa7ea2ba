"""Whoever takes away what a session works on: the session tells it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from innerloop.engine import guarding
from innerloop.engine.guarding import guard
from innerloop.engine.workloads import Workload
from innerloop.events import Event, Notice
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.manifest import TARGET_ANNOTATION, ObjectKey
from tests.waiting import until


def deployment(namespace: str) -> dict[str, Any]:
    metadata = {"labels": {"app": "web"}, "annotations": {TARGET_ANNOTATION: "web=web"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": metadata, "spec": {"containers": [{"name": "web", "image": "busybox:1.36"}]}},
        },
    }


@pytest.mark.cluster
async def test_what_others_change_or_remove_is_told(
    client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarding, "SETTLE_SECONDS", 0.0)
    key = ObjectKey("apps/v1", "Deployment", namespace, "web")
    told: list[str] = []

    def emit(event: Event) -> None:
        assert isinstance(event, Notice)
        told.append(event.message)

    await objects.create(client, deployment(namespace))
    async with asyncio.TaskGroup() as group:
        guarding_it = group.create_task(guard(client, Workload(key, "app=web", ("web",)), emit), name="guard")
        await objects.patch(client, key, {"spec": {"template": {"metadata": {"labels": {"edited": "yes"}}}}})
        await objects.patch(client, key, {"spec": {"template": {"metadata": {"annotations": None}}}})
        await until(lambda: told, what="a notice")
        await objects.delete(client, key)
        await until(lambda: len(told) > 1, what="another notice")
        guarding_it.cancel()
    assert told == [
        "Deployment/web was changed by someone else: nothing is synced to it any more",
        "Deployment/web was removed by someone else",
    ]
