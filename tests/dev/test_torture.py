"""No edit is lost, torn or out of order, whatever happens in the middle of many."""

from __future__ import annotations

import pytest

from tests.dev.conftest import Start
from tests.dev.torture import Load, checked

pytestmark = pytest.mark.cluster


async def test_a_thousand_saves_arrive_whole_and_in_order(start: Start) -> None:
    service = await start()
    (container,) = service.containers
    async with checked(service, container) as seen:
        await Load(service.local, saves=1000, seconds=12).run()
        await service.settle()
    assert seen["wrong"] == []
    assert seen["reads"] > 1000
