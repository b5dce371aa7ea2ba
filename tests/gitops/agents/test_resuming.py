"""Truces whose sessions are gone, or live elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from innerloop import process_identity
from innerloop.events import Notice
from innerloop.gitops.agents import truce as truces
from innerloop.gitops.agents.records import ANNOTATION, record_of
from innerloop.gitops.agents.resuming import Standing, everywhere, in_namespace, resume
from innerloop.gitops.agents.truce import Truce
from innerloop.kube import objects
from innerloop.manifest import ObjectKey
from tests.gitops.agents.vote import Vote
from tests.waiting import until

pytestmark = pytest.mark.cluster

ELSEWHERE = "00000000-0000-0000-0000-000000000000/1/1"
"""A process of another machine."""


def dead() -> str:
    """A process of this machine that is gone."""
    boot, pid, start = process_identity.own().split("/")
    return f"{boot}/{pid}/{int(start) - 1}"


async def developed(vote: Vote, truce: Truce) -> bytes:
    """The Application's spec as it was before the truce, behind which the namespace is developed."""
    await vote.start()
    before = await vote.spec()
    await truce.keep(await vote.steps())
    await vote.develop()
    await truce.applied()
    return before


async def seen(vote: Vote) -> Standing:
    """The truce with the test's Application, among all that may be seen in the cluster."""
    (found,) = [one for one in await everywhere(vote.client) if any(hold.key.name == vote.name for hold in one.holds)]
    return found


@pytest.mark.parametrize(
    ("minutes", "process", "over"),
    [
        (10, process_identity.own(), ""),
        (10, ELSEWHERE, ""),
        (10, dead(), "its process is gone"),
        (-1, ELSEWHERE, "expired at"),
        (-1, process_identity.own(), "expired at"),
    ],
    ids=["here and alive", "elsewhere", "here and gone", "elsewhere and expired", "here and expired"],
)
async def test_who_may_still_live_is_told_from_who_is_gone(vote: Vote, minutes: int, process: str, over: str) -> None:
    await vote.start()
    truce = vote.truce(minutes=minutes, process=process)
    await truce.keep(await vote.steps())
    found = await seen(vote)
    assert found.over.startswith(over) if over else found.over == ""
    await truce.end()


async def test_an_expired_truce_is_ended_by_anyone(vote: Vote) -> None:
    before = await developed(vote, vote.truce(minutes=-1, process=ELSEWHERE))
    (standing,) = await in_namespace(vote.client, vote.namespace)
    assert [one.amiss for one in await resume(vote.client, standing)] == [""]
    assert await vote.spec() == before
    assert await vote.is_as_in_git()
    assert await in_namespace(vote.client, vote.namespace) == []


async def test_a_truce_whose_record_was_removed_is_ended_by_its_lease(vote: Vote) -> None:
    before = await developed(vote, vote.truce(process=dead()))
    change = {"metadata": {"annotations": {ANNOTATION: None}}}
    await objects.patch(vote.client, vote.argo.key(vote.name), change)
    assert [one.amiss for one in await resume(vote.client, await seen(vote))] == [""]
    assert await vote.spec() == before
    assert await vote.is_as_in_git()


async def test_a_truce_whose_lease_is_gone_is_ended_by_its_record(vote: Vote) -> None:
    before = await developed(vote, vote.truce(process=dead()))
    (standing,) = await in_namespace(vote.client, vote.namespace)
    assert standing.lease is not None
    await objects.delete(vote.client, standing.lease)
    found = await seen(vote)
    assert found.lease is None
    assert [one.amiss for one in await resume(vote.client, found)] == [""]
    assert await vote.spec() == before
    assert await vote.is_as_in_git()


async def test_a_truce_with_what_was_deleted_ends_all_the_same(vote: Vote) -> None:
    await developed(vote, vote.truce(process=dead()))
    standing = await seen(vote)
    await objects.delete(vote.client, vote.argo.key(vote.name))
    assert [one.amiss for one in await resume(vote.client, standing)] == [""]
    assert await in_namespace(vote.client, vote.namespace) == []


async def test_a_session_that_joins_leaves_out_those_that_are_expired(vote: Vote) -> None:
    await developed(vote, vote.truce(minutes=-1))
    second = vote.truce()
    await second.keep(await vote.steps())
    record = record_of(await vote.argo.get(vote.name))
    assert record is not None
    assert len(record.parties) == 1
    await second.end()


async def test_the_lease_is_beside_the_application_where_it_may_not_be_in_the_developers_namespace(vote: Vote) -> None:
    await vote.start()
    truce = vote.truce("no-such-namespace")
    await truce.keep(await vote.steps())
    lease = (await seen(vote)).lease
    assert lease is not None
    assert lease.namespace == vote.argo.namespace
    await truce.end()


async def test_the_lease_tells_people_who_holds_it(vote: Vote) -> None:
    await vote.start()
    truce = vote.truce()
    await truce.keep(await vote.steps())
    (standing,) = await in_namespace(vote.client, vote.namespace)
    assert standing.lease is not None
    spec = (await objects.get(vote.client, standing.lease))["spec"]
    assert spec["holderIdentity"] == standing.session.holder
    assert 590 < spec["leaseDurationSeconds"] <= 600
    await truce.end()


@contextlib.asynccontextmanager
async def renewing(truce: Truce) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(truce.renew(), name="renew")
        yield
        task.cancel()


async def test_a_truce_is_renewed_while_its_session_lives(vote: Vote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truces, "RENEW_SECONDS", 0.1)
    await vote.start()
    truce = vote.truce(minutes=1)
    await truce.keep(await vote.steps())
    first = (await seen(vote)).session.expires
    async with renewing(truce):

        async def is_renewed() -> bool:
            record = record_of(await vote.argo.get(vote.name))
            assert record is not None
            (standing,) = await in_namespace(vote.client, vote.namespace)
            return record.parties[0].session.expires > first and standing.session.expires > first

        await until(is_renewed, what="record and Lease are renewed")
    await truce.end()


async def test_a_truce_that_somebody_ended_is_made_again_and_told(vote: Vote, monkeypatch: pytest.MonkeyPatch) -> None:
    await vote.start()
    before = await vote.spec()
    truce = vote.truce()
    await truce.keep(await vote.steps())
    await resume(vote.client, await seen(vote))
    monkeypatch.setattr(truces, "RENEW_SECONDS", 0.1)
    async with renewing(truce):

        def told() -> list[str]:
            return [one.message for one in vote.events if isinstance(one, Notice)]

        await until(told, what="it is told")
        assert "was given back to its agent meanwhile, and is asked again" in told()[0]
        assert await vote.spec() != before
    await truce.end()
    assert await vote.spec() == before


async def test_what_others_wrote_into_a_lease_is_no_truce(vote: Vote) -> None:
    await vote.start()
    truce = vote.truce()
    await truce.keep(await vote.steps())
    (standing,) = await in_namespace(vote.client, vote.namespace)
    assert standing.lease is not None
    damaged = {"metadata": {"annotations": {ANNOTATION: msgspec.json.encode({"session": 1}).decode()}}}
    await objects.patch(vote.client, ObjectKey(*standing.lease), damaged)
    assert await in_namespace(vote.client, vote.namespace) == []
    await truce.end()
