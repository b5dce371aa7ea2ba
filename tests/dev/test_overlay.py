"""The dev overlay as a function over manifests; that a container runs with it is tested with sync."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from innerloop.dev import helper
from innerloop.dev.overlay import original_command, overlay
from innerloop.dev.placing import ARCHITECTURE
from innerloop.errors import LoopError
from innerloop.manifest import Manifest
from innerloop.project import DevTarget, SyncAction, SyncPath

SYNC = (SyncPath(local=Path("/src/web"), remote="/app"),)


class Config(NamedTuple):
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()


class Built(NamedTuple):
    repository: str
    reference: str
    config: Config | None = None
    architecture: str = "amd64"


MIXED = [{ARCHITECTURE: "amd64"}, {ARCHITECTURE: "arm64"}]
WEB = Built("web", "localhost:5000/web@sha256:" + "0" * 64, Config(("python",), ("main.py",)))


def container(name: str = "web", image: str = "web:1", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": image, **fields}


def deployment(*containers: dict[str, Any], name: str = "web", namespace: str = "", **spec: Any) -> Manifest:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": list(containers), **spec}}
    return Manifest(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": name}}, "template": template},
        }
    )


def job(*containers: dict[str, Any]) -> Manifest:
    template = {"spec": {"containers": list(containers)}}
    return Manifest(
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"}, "spec": {"template": template}}
    )


def target(**fields: Any) -> DevTarget:
    fields = {"name": "web", "sync": SYNC, **fields}
    if "selector" not in fields:
        fields.setdefault("image", "web")
    return DevTarget(**fields)


def developed(
    manifest: Manifest, one: DevTarget | None = None, image: Built = WEB, index: int = 0, **options: Any
) -> dict[str, Any]:
    """The container after the overlay."""
    result = overlay([manifest], [one or target()], {"web": image}, **options)
    template = result[-1].pod_template
    assert template
    found: dict[str, Any] = template["spec"]["containers"][index]
    return found


def test_command_of_the_image_is_wrapped() -> None:
    changed = developed(deployment(container()))
    assert changed["command"] == ["/.innerloop/loop-helper", "run", "--grace", "5000", "--"]
    assert changed["args"] == ["python", "main.py"]


@pytest.mark.parametrize(
    ("fields", "runs"),
    [
        ({}, ["entry", "point", "cmd"]),
        ({"command": ["c"]}, ["c"]),
        ({"args": ["a"]}, ["entry", "point", "a"]),
        ({"command": ["c"], "args": ["a"]}, ["c", "a"]),
        ({"command": [], "args": []}, ["entry", "point", "cmd"]),
    ],
)
def test_original_command_follows_kubernetes_rules(fields: dict[str, Any], runs: list[str]) -> None:
    image = Built("web", "web", Config(("entry", "point"), ("cmd",)))
    assert original_command(container(**fields), image) == runs


def test_words_of_the_image_are_not_expanded_by_the_kubelet() -> None:
    image = Built("web", "web", Config(("sh", "-c"), ("echo $(date) $$ $HOME",)))
    assert original_command(container(), image) == ["sh", "-c", "echo $$(date) $$$$ $$HOME"]


def test_command_of_the_target_wins_over_the_manifest() -> None:
    changed = developed(deployment(container(command=["prod"], args=["serve"])), target(command=("flask", "run")))
    assert changed["args"] == ["flask", "run"]


def test_unknown_command_is_only_mounted() -> None:
    changed = developed(deployment(container()), image=Built("web", "web"))
    assert "command" not in changed
    assert changed["volumeMounts"][0]["mountPath"] == "/.innerloop"


def test_signal_to_an_unknown_command_is_refused() -> None:
    actions = (SyncAction(files=("*",), signal="HUP"),)
    with pytest.raises(LoopError, match="its command is not known"):
        developed(deployment(container()), target(actions=actions), image=Built("web", "web"))


def test_restart_of_an_unknown_command_is_refused_with_what_to_do() -> None:
    with pytest.raises(LoopError, match="its command is not known") as caught:
        developed(deployment(container()), target(restart=("*.py",)), image=Built("web", "web"))
    assert caught.value.hint == "set dev.web.command"


def test_selected_container_that_runs_a_built_image_has_a_known_command() -> None:
    changed = developed(deployment(container()), target(selector={"app": "web"}, restart=("*.py",)))
    assert changed["args"] == ["python", "main.py"]


def test_helper_is_mounted_from_an_immutable_config_map_named_by_content() -> None:
    config_map, changed = overlay([deployment(container(), namespace="mine")], [target()], {"web": WEB}, project="vote")
    assert config_map.namespace == "mine"
    assert config_map.name.startswith("innerloop-helper-vote-")
    assert config_map.object["immutable"] is True
    template = changed.pod_template
    assert template
    assert template["spec"]["volumes"] == [
        {"name": "innerloop-helper", "configMap": {"name": config_map.name, "defaultMode": 0o555}}
    ]
    mount = {"name": "innerloop-helper", "mountPath": "/.innerloop", "readOnly": True}
    assert template["spec"]["containers"][0]["volumeMounts"] == [mount]


def test_each_architecture_has_its_own_config_map() -> None:
    names = {
        overlay([deployment(container())], [target()], {"web": WEB}, nodes=[{ARCHITECTURE: architecture}])[0].name
        for architecture in ("amd64", "arm64")
    }
    assert len(names) == 2


def test_helper_is_the_one_for_the_nodes_where_the_pod_lands() -> None:
    image = WEB._replace(architecture="arm64")
    config_map, changed = overlay([deployment(container())], [target()], {"web": image}, nodes=MIXED)
    assert config_map.object["binaryData"] == helper.config_map("arm64", "", "").object["binaryData"]
    template = changed.pod_template
    assert template
    assert template["spec"]["nodeSelector"] == {ARCHITECTURE: "arm64"}


def test_two_containers_of_a_pod_land_on_the_same_nodes() -> None:
    worker = Built("worker", "worker:1", Config((), ("work",)), "arm64")
    targets = [target(), target(name="jobs", image="worker")]
    manifest = deployment(container(), container("worker", "worker:1"))
    result = overlay([manifest], targets, {"web": WEB, "worker": worker}, nodes=MIXED)
    assert [one.kind for one in result] == ["ConfigMap", "Deployment"]
    template = result[-1].pod_template
    assert template
    assert template["spec"]["nodeSelector"] == {ARCHITECTURE: "amd64"}


def test_each_namespace_gets_the_config_map_once() -> None:
    manifests = [
        deployment(container(), name="a", namespace="one"),
        deployment(container(), name="b", namespace="one"),
        deployment(container(), name="c", namespace="two"),
    ]
    result = overlay(manifests, [target()], {"web": WEB})
    assert [manifest.namespace for manifest in result if manifest.kind == "ConfigMap"] == ["one", "two"]


def test_existing_volumes_and_mounts_stay() -> None:
    manifest = deployment(
        container(volumeMounts=[{"name": "data", "mountPath": "/data"}]), volumes=[{"name": "data", "emptyDir": {}}]
    )
    (_, changed) = overlay([manifest], [target()], {"web": WEB})
    template = changed.pod_template
    assert template
    assert [volume["name"] for volume in template["spec"]["volumes"]] == ["data", "innerloop-helper"]
    assert [mount["name"] for mount in template["spec"]["containers"][0]["volumeMounts"]] == [
        "data",
        "innerloop-helper",
    ]


def test_probes_that_end_containers_go_and_readiness_stays() -> None:
    probe = {"httpGet": {"port": 80}}
    changed = developed(deployment(container(livenessProbe=probe, startupProbe=probe, readinessProbe=probe)))
    assert "livenessProbe" not in changed
    assert "startupProbe" not in changed
    assert changed["readinessProbe"] == probe


def test_environment_of_the_target_replaces_and_adds() -> None:
    env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}, {"name": "B", "value": "kept"}]
    changed = developed(deployment(container(env=env)), target(env={"A": "1", "C": "3"}, working_dir="/app"))
    assert changed["env"] == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "kept"},
        {"name": "C", "value": "3"},
    ]
    assert changed["workingDir"] == "/app"


def test_nothing_else_changes() -> None:
    before = deployment(
        container(imagePullPolicy="Always", securityContext={"readOnlyRootFilesystem": True}, command=["x"]),
        container("sidecar", "proxy:1", livenessProbe={"tcpSocket": {"port": 1}}),
        initContainers=[container("init")],
        terminationGracePeriodSeconds=60,
    )
    after = copy.deepcopy(overlay([before], [target()], {"web": WEB})[-1].object)
    template = after["spec"]["template"]
    changed = template["spec"]["containers"][0]
    assert template["metadata"].pop("annotations") == {"innerloop.dev/target": "web=web"}
    assert template["spec"].pop("volumes")
    assert changed.pop("volumeMounts")
    changed.update(command=changed.pop("args"))
    assert after == before.object


def test_originals_are_not_touched_and_the_result_is_the_same_each_time() -> None:
    manifest = deployment(container(env=[{"name": "A", "value": "1"}]))
    before = copy.deepcopy(manifest.object)
    one = target(env={"A": "2"})
    first = [result.object for result in overlay([manifest], [one], {"web": WEB})]
    second = [result.object for result in overlay([manifest], [one], {"web": WEB})]
    assert manifest.object == before
    assert first == second


def test_short_grace_period_of_the_pod_counts_for_restarts() -> None:
    changed = developed(deployment(container(), terminationGracePeriodSeconds=1))
    assert changed["command"][3] == "1000"


def test_two_targets_in_one_pod_share_annotation_and_volume() -> None:
    manifest = deployment(container(), container("worker", "worker:1"))
    worker = Built("worker", "worker:1", Config((), ("work",)))
    targets = [target(), target(name="jobs", image="worker")]
    template = overlay([manifest], targets, {"web": WEB, "worker": worker})[-1].pod_template
    assert template
    assert template["metadata"]["annotations"] == {"innerloop.dev/target": "web=web,jobs=worker"}
    assert len(template["spec"]["volumes"]) == 1


def test_target_that_only_forwards_is_annotated_and_else_left_alone() -> None:
    (changed,) = overlay([deployment(container())], [target(sync=())], {"web": WEB})
    template = changed.pod_template
    assert template
    assert template["metadata"]["annotations"] == {"innerloop.dev/target": "web=web"}
    assert template["spec"]["containers"] == [container()]


@pytest.mark.parametrize(
    "image", ["web", "web:1", "docker.io/library/web:1", "localhost:5000/web", "web:1@sha256:" + "1" * 64]
)
def test_image_is_recognised_before_and_after_its_reference_was_replaced(image: str) -> None:
    assert developed(deployment(container(image=image)))["args"] == ["python", "main.py"]


def test_jobs_that_run_the_image_stay_as_they_are() -> None:
    before = job(container())
    result = overlay([before, deployment(container())], [target()], {"web": WEB})
    assert [manifest.object for manifest in result if manifest.kind == "Job"] == [before.object]


def test_target_that_means_nothing_is_told_with_what_there_is() -> None:
    with pytest.raises(LoopError, match=r"dev\.web: no workload runs web") as caught:
        overlay([deployment(container("api", "other:2"), name="api"), job(container())], [target()], {"web": WEB})
    assert caught.value.detail == "Deployment/api with labels app=api\n  container api runs other:2"


def test_selector_that_finds_nothing_is_told() -> None:
    with pytest.raises(LoopError, match="no workload has the pod labels app=shop"):
        overlay([deployment(container())], [target(selector={"app": "shop"})], {})


def test_selected_pod_with_several_containers_needs_a_name() -> None:
    manifest = deployment(container(), container("sidecar", "proxy:1"))
    with pytest.raises(LoopError, match="several containers: web, sidecar"):
        overlay([manifest], [target(selector={"app": "web"})], {})
    sidecar = target(selector={"app": "web"}, container="sidecar", command=("x",))
    assert developed(manifest, sidecar, index=1)["args"] == ["x"]


def test_one_command_for_containers_that_run_different_ones_is_refused() -> None:
    manifests = [deployment(container()), deployment(container(args=["worker"]), name="worker")]
    with pytest.raises(LoopError, match="one command for containers that run different ones"):
        overlay(manifests, [target(command=("flask", "run"))], {"web": WEB})


def test_container_of_two_targets_is_refused() -> None:
    with pytest.raises(LoopError, match=r"dev\.web and dev\.also both mean Deployment/web container web"):
        overlay([deployment(container())], [target(), target(name="also")], {"web": WEB})
