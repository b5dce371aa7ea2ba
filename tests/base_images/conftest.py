"""A registry for the cluster's, and one that plays the real registry of official images."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from innerloop.paths import cache_dir
from tests.build.registry import FakeRegistry, serving


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with serving(FakeRegistry()) as running:
        yield running


@pytest.fixture
def docker_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put another registry, given as ``host:port``, in the place of the real one; it is unreachable until then."""
    # what was made stays for the next run
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_dir().parent))
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / ".config/containers/registries.conf"
    file.parent.mkdir(parents=True)
    file.write_text('[[registry]]\nlocation = "docker.io"\nblocked = true\n')

    def serve_from(host: str) -> None:
        file.write_text(f'[[registry]]\nprefix = "docker.io"\nlocation = "{host}"\ninsecure = true\n')

    return serve_from
