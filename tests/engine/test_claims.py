"""One session per service, on the real API."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from innerloop.engine import claims
from innerloop.engine.claims import claimed, holder_of, is_free, lease_name
from innerloop.errors import LoopError
from innerloop.events import Event, Notice
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import NotFound
from innerloop.manifest import ObjectKey
from tests.waiting import until

FOLDER = Path("/src/vote")


def key(namespace: str) -> ObjectKey:
    return ObjectKey("coordination.k8s.io/v1", "Lease", namespace, lease_name("vote", "web"))


def ignore(event: Event) -> None:
    pass


def lease(renewed: datetime, **notes: str) -> dict[str, Any]:
    return {
        "metadata": {"annotations": {f"innerloop.dev/{name.replace('_', '-')}": text for name, text in notes.items()}},
        "spec": {"holderIdentity": "ann@laptop:1", "renewTime": renewed.isoformat(), "leaseDurationSeconds": 30},
    }


@pytest.mark.cluster
async def test_a_second_session_is_told_who_and_where(client: Client, namespace: str) -> None:
    async with claimed(client, namespace=namespace, project="vote", services=["web"], folder=FOLDER, emit=ignore):
        with pytest.raises(LoopError, match=rf"web is being developed by .* in /src/vote \(process {os.getpid()}\)"):
            async with claimed(
                client, namespace=namespace, project="vote", services=["web"], folder=FOLDER, emit=ignore
            ):
                pass


@pytest.mark.cluster
async def test_other_services_are_free(client: Client, namespace: str) -> None:
    async with (
        claimed(client, namespace=namespace, project="vote", services=["web"], folder=FOLDER, emit=ignore),
        claimed(client, namespace=namespace, project="vote", services=["jobs"], folder=FOLDER, emit=ignore),
    ):
        pass


@pytest.mark.cluster
async def test_the_lease_is_gone_at_the_end(client: Client, namespace: str) -> None:
    with pytest.raises(ZeroDivisionError):
        async with claimed(client, namespace=namespace, project="vote", services=["web"], folder=FOLDER, emit=ignore):
            raise ZeroDivisionError
    with pytest.raises(NotFound):
        await objects.get(client, key(namespace))


@pytest.mark.cluster
async def test_a_killed_sessions_claim_is_taken_over(
    client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with claimed(client, namespace=namespace, project="vote", services=["web"], folder=FOLDER, emit=ignore):
        gone = {"metadata": {"annotations": {"innerloop.dev/process-start": "1"}}}
        await objects.patch(client, key(namespace), gone)
        async with claimed(client, namespace=namespace, project="vote", services=["web"], folder=FOLDER, emit=ignore):
            pass


@pytest.mark.cluster
async def test_a_claim_is_renewed(client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "RENEW_SECONDS", 0.05)
    async with claimed(client, namespace=namespace, project="vote", services=["web"], folder=FOLDER, emit=ignore):
        first = (await objects.get(client, key(namespace)))["spec"]["renewTime"]

        async def renewed() -> bool:
            return bool((await objects.get(client, key(namespace)))["spec"]["renewTime"] != first)

        await until(renewed, what="a later renewTime")


@pytest.mark.cluster
async def test_a_claim_is_made_when_its_namespace_is(
    client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "RETRY_SECONDS", 0.05)
    later = f"{namespace}-later"
    async with claimed(client, namespace=later, project="vote", services=["web"], folder=FOLDER, emit=ignore):
        await objects.create(client, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": later}})

        async def there() -> bool:
            found, _ = await objects.list_all(client, "coordination.k8s.io/v1", "Lease", namespace=later)
            return bool(found)

        await until(there, what="the lease")
    await objects.delete(client, ObjectKey("v1", "Namespace", "", later))


@pytest.mark.cluster
async def test_a_cluster_that_does_not_answer_is_told_once(
    client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "RENEW_SECONDS", 0.02)
    monkeypatch.setattr(claims, "ANSWER_SECONDS", 0.5)
    told: list[str] = []

    def emit(event: Event) -> None:
        assert isinstance(event, Notice)
        told.append(event.message)

    async def silent(*arguments: Any) -> None:
        await asyncio.sleep(60)

    services = ["web", "api"]
    async with claimed(client, namespace=namespace, project="vote", services=services, folder=FOLDER, emit=emit):
        with monkeypatch.context() as away:
            away.setattr(objects, "patch", silent)
            monkeypatch.setattr(claims, "ANSWER_SECONDS", 0.05)
            await until(lambda: told, what="a notice")
            await asyncio.sleep(0.3)
            assert told == ["the cluster does not answer: nothing is synced until it does"]
            monkeypatch.setattr(claims, "ANSWER_SECONDS", 5.0)
        await until(lambda: len(told) > 1, what="the end of it")
    assert told[1:] == ["the cluster answers, and other sessions see this one"]


def test_an_expired_lease_is_free() -> None:
    now = datetime.now(UTC)
    assert is_free(lease(now - timedelta(seconds=31)), now)


def test_a_lease_of_another_machine_is_held_until_it_expires() -> None:
    now = datetime.now(UTC)
    assert not is_free(lease(now - timedelta(seconds=29), boot="another", pid="1", process_start="1"), now)


def test_a_holder_is_named_for_people() -> None:
    held = lease(datetime.now(UTC), holder="ann@laptop", folder="/src", pid="7")
    assert holder_of(held) == "ann@laptop in /src (process 7)"


def test_lease_names_keep_apart_what_the_rules_make_equal() -> None:
    assert lease_name("vote", "web") == "innerloop-dev-vote-web"
    assert lease_name("Vote", "web") != lease_name("vote", "web")
