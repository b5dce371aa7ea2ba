"""Services live as long as they are wanted, and no longer."""

from __future__ import annotations

import asyncio

from innerloop.engine.services import Service, Services
from innerloop.errors import LoopError
from innerloop.events import Event, Notice
from tests.waiting import until


class Lives:
    """Services that note when they start and end."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def service(self, name: str, spec: object = None) -> Service:
        async def run() -> None:
            self.log.append(f"{name} starts")
            try:
                await asyncio.Event().wait()
            finally:
                self.log.append(f"{name} ends")

        return Service(name, spec, run)


def ignore(event: Event) -> None:
    pass


async def test_an_unchanged_service_goes_on() -> None:
    lives = Lives()
    async with asyncio.TaskGroup() as group:
        services = Services(group, ignore)
        services.reconcile([lives.service("sync")])
        await until(lambda: lives.log)
        services.reconcile([lives.service("sync")])
        await asyncio.sleep(0)
        assert lives.log == ["sync starts"]
        services.end()


async def test_a_changed_service_starts_when_the_former_has_ended() -> None:
    lives = Lives()
    async with asyncio.TaskGroup() as group:
        services = Services(group, ignore)
        services.reconcile([lives.service("forward", 8080)])
        await until(lambda: lives.log)
        services.reconcile([lives.service("forward", 8081)])
        await until(lambda: len(lives.log) == 3)
        assert lives.log == ["forward starts", "forward ends", "forward starts"]
        services.end()


async def test_a_failure_is_told_and_leaves_the_others() -> None:
    lives, told = Lives(), list[Event]()

    async def fail() -> None:
        raise LoopError("port 8085 is in use")

    async with asyncio.TaskGroup() as group:
        services = Services(group, told.append)
        services.reconcile([lives.service("sync"), Service("forward", None, fail)])
        await until(lambda: told)
        assert isinstance(told[0], Notice)
        assert told[0].message == "forward: port 8085 is in use"
        assert lives.log == ["sync starts"]
        services.end()
