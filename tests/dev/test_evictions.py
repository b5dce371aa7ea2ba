"""What is told of pods that were evicted."""

from __future__ import annotations

from typing import Any

from innerloop.dev.evictions import Evictions


def pod(uid: str, message: str = "", reason: str = "Evicted") -> dict[str, Any]:
    mounts = [{"name": "data", "mountPath": "/data"}, {"name": "other", "mountPath": "/other"}]
    return {
        "metadata": {"name": f"web-{uid}", "uid": uid},
        "spec": {"containers": [{"name": "web", "volumeMounts": mounts}, {"name": "side"}]},
        "status": {"phase": "Failed", "reason": reason, "message": message},
    }


def test_eviction_is_told_once_and_former_ones_are_no_news() -> None:
    evictions = Evictions("web")
    assert evictions.news([pod("old")]) == []
    assert len(evictions.news([pod("old"), pod("new")])) == 1
    assert evictions.news([pod("old"), pod("new")]) == []


def test_full_volume_is_named_by_its_path() -> None:
    evictions = Evictions("web")
    evictions.news([])
    (notice,) = evictions.news([pod("1", 'Usage of EmptyDir volume "data" exceeds the limit "1Mi". ')])
    assert notice.message == (
        'web: web-1 was evicted: Usage of EmptyDir volume "data" exceeds the limit "1Mi", which is at /data'
    )
    assert "sizeLimit" in notice.hint


def test_other_reasons_are_told_as_the_node_tells_them() -> None:
    evictions = Evictions("web")
    evictions.news([])
    (notice,) = evictions.news([pod("1", "The node was low on resource: memory."), pod("2", reason="Completed")])
    assert notice.message == "web: web-1 was evicted: The node was low on resource: memory"
    assert "kubectl describe" in notice.hint
