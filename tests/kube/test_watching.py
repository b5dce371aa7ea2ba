"""Watches of a real server: what they tell, in which order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import UnknownKind
from innerloop.kube.watching import WatchEvent, watch
from innerloop.manifest import ObjectKey

pytestmark = pytest.mark.cluster


def config_map(namespace: str, name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"test": "yes"}},
        "data": data,
    }


@asynccontextmanager
async def watching(client: Client, namespace: str, **options: Any) -> AsyncIterator[AsyncGenerator[WatchEvent, None]]:
    """A watch of the namespace's config maps that tests made, with a deadline."""
    options = {"label_selector": "test=yes"} | options
    async with (
        asyncio.timeout(60),
        aclosing(watch(client, "v1", "ConfigMap", namespace=namespace, **options)) as events,
    ):
        yield events


def told(event: WatchEvent) -> tuple[str, str]:
    return event.type, event.object.get("metadata", {}).get("name", "")


async def take(events: AsyncGenerator[WatchEvent, None], count: int) -> list[tuple[str, str]]:
    return [told(await anext(events)) for _ in range(count)]


async def test_what_is_there_comes_first_then_synced(client: Client, namespace: str) -> None:
    for name in ("a", "b"):
        await objects.create(client, config_map(namespace, name))
    async with watching(client, namespace) as events:
        assert await take(events, 3) == [("ADDED", "a"), ("ADDED", "b"), ("SYNCED", "")]


async def test_changes_follow_in_their_order(client: Client, namespace: str) -> None:
    async with watching(client, namespace) as events:
        await anext(events)
        await objects.create(client, config_map(namespace, "a"))
        await objects.apply(client, config_map(namespace, "a", x="1"), manager="test")
        await objects.delete(client, ObjectKey("v1", "ConfigMap", namespace, "a"))
        assert await take(events, 3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_objects_of_a_watch_tell_their_kind(client: Client, namespace: str) -> None:
    await objects.create(client, config_map(namespace, "a"))
    async with watching(client, namespace) as events:
        listed = (await anext(events)).object
        await anext(events)
        await objects.create(client, config_map(namespace, "b"))
        watched = (await anext(events)).object
    assert {(one["apiVersion"], one["kind"]) for one in (listed, watched)} == {("v1", "ConfigMap")}


async def test_one_name_can_be_watched(client: Client, namespace: str) -> None:
    async with watching(client, namespace, name="b") as events:
        await anext(events)
        for name in ("a", "b"):
            await objects.create(client, config_map(namespace, name))
        assert told(await anext(events)) == ("ADDED", "b")


async def test_all_namespaces_can_be_watched(client: Client, namespace: str) -> None:
    await objects.create(client, config_map(namespace, "a"))
    async with asyncio.timeout(30), aclosing(watch(client, "v1", "ConfigMap", namespace=None)) as events:
        async for event in events:
            if event.object["metadata"]["namespace"] == namespace:
                return


async def test_leaving_a_selector_is_a_deletion(client: Client, namespace: str) -> None:
    await objects.create(client, config_map(namespace, "a"))
    async with watching(client, namespace) as events:
        await take(events, 2)
        await objects.patch(client, ObjectKey("v1", "ConfigMap", namespace, "a"), {"metadata": {"labels": None}})
        assert told(await anext(events)) == ("DELETED", "a")


async def test_an_unknown_kind_is_told_at_once(client: Client) -> None:
    with pytest.raises(UnknownKind):
        await anext(watch(client, "v1", "Flurb", namespace=None))
