"""Where images go, as a real cluster tells it."""

from __future__ import annotations

import pytest

from innerloop.build.destination import Push, advertised_registry
from innerloop.build.nodes import Nodes
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.manifest import ObjectKey


@pytest.mark.parametrize(
    ("push", "repository", "name"),
    [
        (Push(), "web", "docker.io/library/web"),
        (Push(), "example.com/shop/web", "example.com/shop/web"),
        (Push("localhost:5001"), "web", "localhost:5001/web"),
        (Push("localhost:5001"), "shop/web", "localhost:5001/shop/web"),
        (Push("localhost:5001"), "example.com:5000/web", "localhost:5001/example.com-5000/web"),
        (Push("example.com/team"), "docker.io/library/web", "example.com/team/web"),
    ],
)
def test_a_registry_takes_images_under_its_own_prefix(push: Push, repository: str, name: str) -> None:
    assert push.repository(repository) == push.pulled(repository) == name


def test_a_cluster_may_know_the_registry_by_another_name() -> None:
    assert Push("localhost:5001", pulled_from="registry:5000").pulled("web") == "registry:5000/web"


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host: localhost:5001\n", Push("localhost:5001", plain_http=True)),
        (
            "host: registry.example.com\nhostFromContainerRuntime: registry:5000\n",
            Push("registry.example.com", pulled_from="registry:5000"),
        ),
        ("help: https://example.com\n", None),
    ],
)
async def test_a_registry_that_a_cluster_advertises_is_found(
    client: Client, namespace: str, text: str, expected: Push | None
) -> None:
    key = ObjectKey("v1", "ConfigMap", namespace, "local-registry-hosting")
    assert await advertised_registry(client, key) is None
    metadata = {"name": key.name, "namespace": namespace}
    hosting = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"localRegistryHosting.v1": text}}
    await objects.create(client, hosting)
    assert await advertised_registry(client, key) == expected


@pytest.mark.cluster
@pytest.mark.usefixtures("home")
async def test_nodes_have_what_they_tell_and_what_was_just_loaded(client: Client) -> None:
    nodes = Nodes(client)
    listed, _ = await objects.list_all(client, "v1", "Node", namespace=None)
    for image in (listed[0]["status"].get("images") or [])[:1]:
        assert await nodes.have(image["names"][0])
    assert not await nodes.have("docker.io/library/web:none")
    await nodes.remember("docker.io/library/web:none")
    assert await nodes.have("docker.io/library/web:none")
