from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from innerloop.kube import config, objects
from innerloop.kube.access import Impersonation
from innerloop.kube.client import Client, connect
from innerloop.kube.errors import NotFound
from innerloop.manifest import ObjectKey
from tests.deploy.deployment import Deployment, unique


@pytest.fixture
def shop(client: Client, namespace: str, tmp_path: Path) -> Deployment:
    """A project in a namespace that was there before."""
    return Deployment(client, namespace, tmp_path)


@pytest.fixture
async def neighbour(client: Client, new_namespace: str, tmp_path: Path) -> Deployment:
    """The same project in another namespace that was there before."""
    await objects.create(client, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": new_namespace}})
    return Deployment(client, new_namespace, tmp_path)


@pytest.fixture
async def new_namespace(client: Client) -> AsyncIterator[str]:
    """The name of a namespace that does not exist yet."""
    name = unique("test")
    yield name
    with suppress(NotFound):
        await objects.delete(client, ObjectKey("v1", "Namespace", "", name))


@pytest.fixture
def own(client: Client, new_namespace: str, tmp_path: Path) -> Deployment:
    """A project whose namespace is made with it."""
    return Deployment(client, new_namespace, tmp_path)


@pytest.fixture
async def developer(client: Client, kubeconfig: Path, namespace: str) -> AsyncIterator[Client]:
    """A client that may do in ``namespace`` what the role edit allows, and nothing elsewhere."""
    await objects.create(
        client, binding("RoleBinding", "edit", {"name": "developer", "namespace": namespace}, user_of(namespace))
    )
    access = config.access(config.load([kubeconfig]), impersonate=Impersonation(user_of(namespace)))
    async with connect(access) as connected:
        yield connected


@pytest.fixture
async def viewer(client: Client, namespace: str) -> AsyncIterator[None]:
    """Lets ``developer`` look at everything, namespaces included."""
    name = unique("test-viewer")
    await objects.create(client, binding("ClusterRoleBinding", "view", {"name": name}, user_of(namespace)))
    yield
    await objects.delete(client, ObjectKey("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "", name))


def user_of(namespace: str) -> str:
    """A user for one test: rights that were taken away count for a moment longer."""
    return f"dev-{namespace}"


def binding(kind: str, role: str, metadata: dict[str, str], user: str) -> dict[str, object]:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
