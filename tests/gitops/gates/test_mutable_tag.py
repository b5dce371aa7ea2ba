"""Images that can change without a commit."""

from __future__ import annotations

import pytest

from innerloop.gitops.gates import mutable_tag
from tests.gitops.gates.rendered import DEPLOYMENT, PINNED, SOURCE, manifests

DIGEST = "sha256:" + "b" * 64


def found(image: str, **locked: str) -> list[tuple[str, str]]:
    objects = manifests(DEPLOYMENT.replace(PINNED, image))
    return [(one.message, one.hint) for one in mutable_tag.findings(objects, locked)]


@pytest.mark.parametrize("image", [f"web@{DIGEST}", f"example.com/web:v1@{DIGEST}"])
def test_an_image_by_digest_passes(image: str) -> None:
    assert found(image) == []


def test_a_tag_is_told_with_how_to_lock_it() -> None:
    assert found("redis:7") == [
        (
            "image redis:7 has no digest: what runs can change without a commit",
            "`loop build --push --lock` writes it down, or write …@sha256:… into the template",
        )
    ]


def test_a_digest_that_the_lock_has_is_told() -> None:
    objects = manifests(DEPLOYMENT.replace(PINNED, "redis:7"))
    (one,) = mutable_tag.findings(objects, {"docker.io/library/redis": f"redis:7@{DIGEST}"})
    assert one.hint.startswith(f"the lock has {DIGEST}: render again with it")


def test_an_image_without_a_tag_is_told_as_such() -> None:
    assert found("redis")[0][0].startswith("image redis has no digest, not even a tag")


def test_what_is_no_reference_is_told() -> None:
    assert found("'Redis 7'")[0] == ("'Redis 7' is no reference of an image", "mend it in the template")


def test_an_image_is_told_once_for_each_object() -> None:
    twice = DEPLOYMENT + "      initContainers: [{name: first, image: 'redis:7'}, {name: second, image: 'redis:7'}]\n"
    objects = manifests(f"{twice}---{twice.replace('name: web, n', 'name: api, n')}")
    assert [one.object for one in mutable_tag.findings(objects, {})] == ["Deployment/web", "Deployment/api"]


def test_an_image_in_a_pod_template_of_a_custom_resource_is_found() -> None:
    objects = manifests(
        """
        apiVersion: argoproj.io/v1alpha1
        kind: Rollout
        metadata: {name: web}
        spec: {template: {spec: {containers: [{name: web, image: "redis:7"}]}}}
        """
    )
    (one,) = mutable_tag.findings(objects, {})
    assert (one.gate, one.object, one.where) == ("mutable-tag", "Rollout/web", SOURCE)
