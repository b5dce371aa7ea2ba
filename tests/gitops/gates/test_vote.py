"""The vote sample's environments: all that stands between them and a promotion are digests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from innerloop.config.loading import Options, load
from innerloop.gitops.environments.rendering import render_environment
from innerloop.gitops.gates.checking import check

VOTE = Path(__file__).parents[3] / "examples/vote"

pytestmark = pytest.mark.usefixtures("tools")


@pytest.mark.parametrize("environment", ["dev", "stage", "prod"])
async def test_an_environment_lacks_nothing_but_digests(
    environment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in load(VOTE / "loop.yaml", Options(env=environment)).variables.keys() & os.environ.keys():
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    project = load(VOTE / "loop.yaml", Options(env=environment, fallback_namespace=""))
    rendered = await render_environment(project, emit=lambda _: None)
    found = await check(rendered, project, emit=lambda _: None)
    assert {one.gate for one in found} <= {"mutable-tag"}
