"""Volumes with a limit, in real pods."""

from __future__ import annotations

import os
from typing import Any

import pytest

from innerloop.events import Notice
from tests.dev.conftest import Start
from tests.dev.service import Service
from tests.kube import pods
from tests.waiting import until

pytestmark = pytest.mark.cluster

MEGABYTE = 1024 * 1024


async def start_on(start: Start, volume: dict[str, Any]) -> Service:
    mounts = [{"name": "app", "mountPath": "/app"}]
    container = pods.container("web", ["python", "/app/server.py"], pods.PYTHON, volumeMounts=mounts)
    return await start(container, volumes=[{"name": "app", "emptyDir": volume}])


async def test_full_volume_in_memory_is_told_with_the_path_and_mended_by_less(start: Start) -> None:
    service = await start_on(start, {"medium": "Memory", "sizeLimit": "2Mi"})
    (service.local / "large").write_bytes(os.urandom(3 * MEGABYTE))
    (notice,) = await until(lambda: service.of(Notice))
    assert notice.message.startswith(
        f"web: not synced to {service.containers[0].pod}/web: /app/large: no space is left"
    )
    assert "raise the limit of the volume" in notice.hint
    (service.local / "large").write_bytes(os.urandom(MEGABYTE))
    await service.settle()
    assert service.of(Notice) == [notice]


async def test_eviction_for_what_was_synced_is_told_with_the_path_and_the_mend(start: Start) -> None:
    """The kubelet looks at what volumes hold about once a minute."""
    service = await start_on(start, {"sizeLimit": "1Mi"})
    (pod,) = {container.pod for container in service.containers}
    (service.local / "large").write_bytes(os.urandom(3 * MEGABYTE))
    (notice,) = await until(lambda: service.of(Notice), timeout=180)
    assert notice.message.startswith(f"web: {pod} was evicted: ")
    assert notice.message.endswith('"app" exceeds the limit "1Mi", which is at /app')
    assert notice.hint.startswith("raise its sizeLimit, or sync less to it")
