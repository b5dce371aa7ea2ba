"""Live changes to what plain manifests say."""

from __future__ import annotations

import pytest

from innerloop.dev.overlay import overlay
from innerloop.errors import LoopError
from innerloop.gitops.harvest.fields import shown
from innerloop.project import DevTarget
from tests.gitops.harvest.conftest import WEB, Deployed, container
from tests.waiting import until

SET = {
    "image": (("set", "image", "deployment/web", "web=busybox:1.37"), "busybox:1.36", "busybox:1.37"),
    "env": (("set", "env", "deployment/web", "TITLE=Dogs: yes"), 'value: "Cats"', 'value: "Dogs: yes"'),
    "replicas": (("scale", "deployment/web", "--replicas=2"), "replicas: 1 ", "replicas: 2 "),
    "resources": (("set", "resources", "deployment/web", "--requests=cpu=20m"), "cpu: 10m", "cpu: 20m"),
    "probe": (
        container(readinessProbe={"periodSeconds": 7}),
        "periodSeconds: 5",
        "periodSeconds: 7",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SET)
async def test_a_changed_value_is_changed_where_it_stands_and_nothing_else(shop: Deployed, name: str) -> None:
    command, old, new = SET[name]
    await shop.deploy()
    await shop.kubectl(*command)
    await shop.apply_patch(await shop.harvest())
    assert shop.read("deploy/web.yaml") == WEB.replace(old, new)
    await shop.assert_renders_what_is_live()


ADDED = {
    "env": (
        ("set", "env", "deployment/web", "COLOUR=red"),
        "# shown on top\n",
        "# shown on top\n            - name: COLOUR\n              value: red\n",
    ),
    "resources": (
        ("set", "resources", "deployment/web", "--limits=memory=64Mi"),
        "requests: {cpu: 10m}\n",
        "requests: {cpu: 10m}\n            limits:\n              memory: 64Mi\n",
    ),
    "probe": (
        container(livenessProbe={"exec": {"command": ["true"]}}),
        "periodSeconds: 5\n",
        "periodSeconds: 5\n          livenessProbe:\n            exec:\n              command:\n"
        '              - "true"\n',
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ADDED)
async def test_what_was_added_is_added_without_the_servers_defaults(shop: Deployed, name: str) -> None:
    command, old, new = ADDED[name]
    await shop.deploy()
    await shop.kubectl(*command)
    await shop.apply_patch(await shop.harvest())
    assert shop.read("deploy/web.yaml") == WEB.replace(old, new)
    await shop.assert_renders_what_is_live()


async def test_what_was_removed_is_removed(shop: Deployed) -> None:
    shop.write(
        "deploy/web.yaml",
        WEB.replace("          resources:", '            - {name: B, value: "1"}\n          resources:'),
    )
    await shop.deploy()
    await shop.kubectl("set", "env", "deployment/web", "B-")
    await shop.apply_patch(await shop.harvest())
    assert shop.read("deploy/web.yaml") == WEB


async def test_nothing_is_harvested_where_nobody_changed_anything(shop: Deployed) -> None:
    await shop.deploy()
    found = await shop.harvest()
    assert (found.attributed, found.patch) == ((), "")


async def test_two_variables_that_are_new_are_both_added(shop: Deployed) -> None:
    await shop.deploy()
    await shop.kubectl("set", "env", "deployment/web", "A=1", "B=2")
    await shop.apply_patch(await shop.harvest())
    await shop.assert_renders_what_is_live()


async def test_a_restart_is_no_change(shop: Deployed) -> None:
    await shop.deploy()
    await shop.kubectl("rollout", "restart", "deployment/web")
    assert (await shop.harvest()).attributed == ()


async def test_what_a_controller_scales_is_no_change(shop: Deployed) -> None:
    await shop.deploy()
    await shop.kubectl("autoscale", "deployment/web", "--min=3", "--max=4")
    await until(shop.has_replicas("web", 3), what="the autoscaler scales")
    assert (await shop.harvest()).attributed == ()


async def test_templates_that_are_not_deployed_yet_are_no_change(shop: Deployed) -> None:
    await shop.deploy()
    shop.write("deploy/web.yaml", WEB.replace("Cats", "Mice").replace("replicas: 1", "replicas: 2"))
    assert (await shop.harvest()).attributed == ()


async def test_whether_something_is_gone_by_hand_is_not_known_beside_newer_templates(shop: Deployed) -> None:
    await shop.deploy()
    shop.write("deploy/web.yaml", WEB.replace("# shown on top\n", '\n            - {name: B, value: "1"}\n'))
    assert (await shop.only()).reason.startswith("the templates are not those that were deployed last")


async def test_a_secret_stays_out_of_the_patch_and_of_what_is_told(shop: Deployed) -> None:
    shop.write("deploy/secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {key: old}\n")
    await shop.deploy()
    await shop.kubectl("patch", "secret", "key", "-p", '{"data":{"key":"bmV3"}}')
    found = await shop.harvest()
    assert (
        "bmV3" not in str(found)
        and found.attributed[0].reason == "the values of Secrets are not written into templates"
    )


async def test_a_text_of_several_lines_is_written_as_a_block_again(shop: Deployed) -> None:
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: page}\ndata:\n"
    text = head + "  # the page\n  page: |\n    one\n    two\n  b: x\n"
    shop.write("deploy/page.yaml", text)
    await shop.deploy()
    await shop.kubectl("patch", "configmap", "page", "-p", '{"data":{"page":"one\\n\\nthree\\n"}}')
    await shop.apply_patch(await shop.harvest())
    assert shop.read("deploy/page.yaml") == text.replace("    two\n", "\n    three\n")


async def test_a_project_that_is_not_deployed_has_nothing_to_harvest(shop: Deployed) -> None:
    with pytest.raises(LoopError, match="shop is not deployed in namespace"):
        await shop.harvest()


async def test_the_dev_overlay_is_no_change(shop: Deployed) -> None:
    target = DevTarget(name="web", selector={"app": "web"}, command=("sleep", "99"), env={"DEBUG": "1"})
    shop.write("deploy/web.yaml", WEB.replace("readinessProbe", "livenessProbe"))
    await shop.deploy(lambda manifests: overlay(manifests, [target], {}))
    await shop.kubectl("set", "env", "deployment/web", "TITLE=Dogs")
    told = await shop.only()
    assert shown(told.change.path).endswith("env[TITLE].value")


async def test_an_image_of_the_projects_own_is_not_harvested(shop: Deployed) -> None:
    shop.write("loop.yaml", "name: shop\nimages: {busybox: {context: .}}\nmanifests: [{files: deploy/*.yaml}]\n")
    await shop.deploy()
    await shop.kubectl("set", "image", "deployment/web", "web=registry.example.com/busybox:other")
    assert (await shop.only()).reason == "the project builds this image, and each build decides its tag"
