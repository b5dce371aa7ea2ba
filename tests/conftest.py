"""Fixtures that everyone needs: the real cluster, a client on it, a namespace of one's own."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import HealthCheck
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from innerloop.cluster.provider import Status
    from innerloop.events import Emit
    from innerloop.kube.client import Client

# a shell starts what it puts into the background with ^C ignored, and so would be all that tests interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)

# how long an example takes is the machine's matter
hypothesis.settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.settings.load_profile("any machine")

CLUSTER = "innerloop-test"
IMAGES = ("busybox:1.36", "python:3.12-slim")
"""Those that any test may use."""


GIVEN = "INNERLOOP_TEST_KUBECONFIG"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Workers of one run share its cluster, so it has to be there before them."""
    if getattr(session.config.option, "numprocesses", None) and GIVEN not in os.environ:
        cluster = contextlib.ExitStack()
        os.environ[GIVEN] = str(cluster.enter_context(_cluster()))
        session.config.add_cleanup(cluster.close)


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """A worker gets files as a whole, and all tests of what a cluster or the machine has once."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if "gitops/agents/" in file or "gitops/acceptance/" in file:
            # truces are the whole cluster's, and it has room for one Argo CD
            return "agents"
        # clusters with state folders of their own do not see each other choose addresses
        return "clusters" if "tests/cluster/" in file else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByFile:
    """How tests are shared out among workers."""
    return _ByFile(config, log)


@pytest.fixture(scope="session")
def kubeconfig(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The kubeconfig of a real cluster: the one named by INNERLOOP_TEST_KUBECONFIG, else of a built-in one.

    That is compiled and its packages are installed if need be; it goes down at the end, unless INNERLOOP_TEST_KEEP is
    set: then the next run finds it. Of two runs at the same time, the second has a cluster of another name.
    """
    if given := os.environ.get(GIVEN):
        yield Path(given)
        return
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with contextlib.ExitStack() as stack:
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            # compiling takes minutes, the first time
            found = stack.enter_context(_cluster())
        yield found


@contextlib.contextmanager
def _cluster() -> Iterator[Path]:
    from innerloop.cluster import operations
    from innerloop.ui.terminal import Terminal

    with _cluster_name() as name:
        status = asyncio.run(_cluster_up(name, Terminal(sys.stdout, interactive=sys.stdout.isatty())))
        assert status.kubeconfig is not None
        yield status.kubeconfig
        if not os.environ.get("INNERLOOP_TEST_KEEP"):
            asyncio.run(operations.down(name, lambda _: None))


@contextlib.contextmanager
def _cluster_name() -> Iterator[str]:
    lock = Path(tempfile.gettempdir()) / f"{CLUSTER}-{os.getuid()}.lock"
    with lock.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield f"{CLUSTER}-{os.getpid()}"
        else:
            yield CLUSTER


async def _cluster_up(name: str, emit: Emit) -> Status:
    from innerloop.cluster import operations
    from innerloop.cluster.base_images import ensure

    status = await operations.up(name, emit, provider="built-in", install=True, merge=False)
    assert status.state == "running", status.problems
    await ensure(IMAGES, status.registry, emit)
    return status


@pytest.fixture(scope="session")
async def client(kubeconfig: Path) -> AsyncIterator[Client]:
    """A client with all rights."""
    from innerloop.kube import config
    from innerloop.kube.client import connect

    async with connect(config.access(config.load([kubeconfig]))) as connected:
        yield connected


@pytest.fixture
async def namespace(client: Client) -> AsyncIterator[str]:
    """A fresh namespace, removed afterwards without waiting."""
    from innerloop.kube import objects
    from innerloop.manifest import ObjectKey

    name = f"test-{secrets.token_hex(4)}"
    await objects.create(client, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    await objects.delete(client, ObjectKey("v1", "Namespace", "", name))


@pytest.fixture(scope="session")
def tools(request: pytest.FixtureRequest) -> None:
    """helm and kubectl on PATH: the user's own, else those that come with the built-in node."""
    if shutil.which("helm") and (shutil.which("kustomize") or shutil.which("kubectl")):
        return
    from innerloop import cluster

    if cluster.programs() is None:
        request.getfixturevalue("kubeconfig")
    folder = cluster.programs()
    assert folder is not None, "no helm, and no built-in node that has one"
    os.environ["PATH"] += f"{os.pathsep}{folder}"
