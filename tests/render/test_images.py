"""Finding and replacing images in manifests."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innerloop import references
from innerloop.manifest import Manifest
from innerloop.render.images import image_references, replace_images

BUILT = "registry.local/web@sha256:" + "a" * 64


def deployment(*images: str, field: str = "containers") -> Manifest:
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    spec = {"template": {"spec": {field: containers}}}
    return Manifest({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec})


def images_in(manifest: Manifest) -> list[str]:
    return [use.reference for use in image_references([manifest])]


@pytest.mark.parametrize(
    "written",
    [
        "web",
        "web:v1",
        "docker.io/web",
        "docker.io/library/web:x",
        "index.docker.io/library/web",
        f"web@sha256:{'b' * 64}",
    ],
)
def test_an_image_is_found_by_its_repository_however_it_is_written(written: str) -> None:
    [manifest] = replace_images([deployment(written)], {"web": BUILT})
    assert images_in(manifest) == [BUILT]


@pytest.mark.parametrize(
    "written", ["web2", "shop/web", "example.com/web", "localhost:5000/web", "", "${IMAGE}", "Web"]
)
def test_other_images_are_left_alone(written: str) -> None:
    [manifest] = replace_images([deployment(written)], {"web": BUILT})
    assert images_in(manifest) == [written]


def test_repositories_with_a_host_match_in_full() -> None:
    manifests = replace_images(
        [deployment("example.com:5000/shop/web:v1", "web")], {"example.com:5000/shop/web": BUILT}
    )
    assert images_in(manifests[0]) == [BUILT, "web"]


@pytest.mark.parametrize("field", ["containers", "initContainers", "ephemeralContainers"])
def test_all_lists_of_containers_count(field: str) -> None:
    [manifest] = replace_images([deployment("web", field=field)], {"web": BUILT})
    assert images_in(manifest) == [BUILT]


def test_an_image_that_is_mounted_as_a_volume_counts() -> None:
    volumes = [{"name": "model", "image": {"reference": "web", "pullPolicy": "Always"}}, {"name": "empty"}]
    [manifest] = replace_images([Manifest({"kind": "Pod", "spec": {"volumes": volumes}})], {"web": BUILT})
    assert images_in(manifest) == [BUILT]
    assert manifest.object["spec"]["volumes"][0]["image"]["pullPolicy"] == "Always"


def test_pod_templates_inside_custom_resources_count() -> None:
    container = {"name": "a", "image": "web"}
    custom: dict[str, Any] = {"kind": "Rollout", "spec": {"steps": [{"job": {"podSpec": {"containers": [container]}}}]}}
    [manifest] = replace_images([Manifest(custom)], {"web": BUILT})
    assert manifest.object["spec"]["steps"][0]["job"]["podSpec"]["containers"] == [{"name": "a", "image": BUILT}]


def test_what_is_no_container_is_left_alone() -> None:
    custom = {"kind": "Page", "spec": {"image": "web", "containers": {"image": "web"}, "icon": {"image": "web"}}}
    assert replace_images([Manifest(custom)], {"web": BUILT})[0].object == custom


def test_the_given_manifests_do_not_change() -> None:
    manifest = deployment("web", "redis")
    before = copy.deepcopy(manifest.object)
    [changed] = replace_images([manifest], {"web": BUILT})
    assert manifest.object == before
    assert changed.source == manifest.source and changed is not manifest


def test_the_place_of_each_use_is_told() -> None:
    [first, second] = image_references([deployment("web", "redis:7")])
    assert (first.path, first.reference) == (("spec", "template", "spec", "containers", 0), "web")
    assert (second.path, second.reference) == (("spec", "template", "spec", "containers", 1), "redis:7")


# a dot in the first part makes it a host
names = st.from_regex(r"\A[a-z0-9]+([_-][a-z0-9]+)*\Z")
hosts = st.sampled_from(["", "docker.io/", "localhost/", "localhost:5000/", "example.com/", "[::1]:5000/"])
tags = st.sampled_from(["", ":1", ":v1.2-x_Y"])
digests = st.sampled_from(["", f"@sha256:{'0' * 64}"])


@given(host=hosts, path=st.lists(names, min_size=1, max_size=3), tag=tags, digest=digests)
def test_a_reference_in_full_reads_as_itself(host: str, path: list[str], tag: str, digest: str) -> None:
    parsed = references.parse(f"{host}{'/'.join(path)}{tag}{digest}")
    assert parsed is not None
    assert references.parse(str(parsed)) == parsed
    assert (parsed.tag, parsed.digest) == (tag[1:], digest[1:])
