"""Waiting on the real cluster: each cause as users are told it."""

from __future__ import annotations

import asyncio
import time

import pytest

from innerloop.deploy import causes, judging
from innerloop.deploy.readiness import NotReady, wait_ready
from innerloop.events import StepDone
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import Forbidden
from innerloop.manifest import ObjectKey
from tests.deploy.deployment import SLEEP, Deployment, deployment, unique
from tests.waiting import until

pytestmark = pytest.mark.cluster

CRASH = "image: 'busybox:1.36', command: [sh, -c, 'echo first; echo cannot open database; exit 3']"
LOAD_BALANCER = (
    "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: LoadBalancer, ports: [{port: 80}]}}"
)


def claim(storage_class: str) -> str:
    spec = f"{{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Mi}}}}, {storage_class}}}"
    return f"---\n{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: data}}, spec: {spec}}}\n"


def job(command: str) -> str:
    container = f"{{name: app, image: 'busybox:1.36', command: [sh, -c, '{command}']}}"
    spec = f"{{backoffLimit: 0, template: {{spec: {{restartPolicy: Never, containers: [{container}]}}}}}}"
    return f"{{apiVersion: batch/v1, kind: Job, metadata: {{name: migrate}}, spec: {spec}}}"


def controlled(kind: str, container: str) -> str:
    return (
        deployment("db", container)
        .replace("kind: Deployment", f"kind: {kind}")
        .replace(
            "spec:\n  selector",
            "spec:\n  serviceName: db\n  selector" if kind == "StatefulSet" else "spec:\n  selector",
        )
    )


async def refused(shop: Deployment, text: str, timeout: float = 20.0) -> NotReady:
    """The failure of something that does not become ready."""
    with pytest.raises(NotReady) as caught:
        await shop.run(text, timeout)
    return caught.value


async def progress(shop: Deployment, text: str, words: str) -> None:
    """Deploy, and return when the words are told while it waits."""
    applied = await shop.apply(text)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(
            wait_ready(shop.client, applied.keys, emit=shop.events.append, timeout=30), name="wait"
        )
        await until(lambda: any(words in message for message in shop.progress), timeout=20, what=words)
        waiting.cancel()


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_workload_becomes_ready(shop: Deployment, kind: str) -> None:
    await shop.run(controlled(kind, SLEEP))
    assert (await shop.get(kind, "db", "apps/v1"))["status"]["observedGeneration"] == 1


async def test_what_is_ready_already_is_not_held_up(shop: Deployment) -> None:
    await shop.run(deployment("web", SLEEP))
    await shop.run(deployment("web", SLEEP))
    done = [event for event in shop.events if isinstance(event, StepDone) and event.step == "ready/Deployment/web"]
    assert done[-1].seconds < judging.STEADY_SECONDS / 2


async def test_changed_deployment_is_ready_when_its_new_pods_are(shop: Deployment) -> None:
    await shop.run(deployment("web", SLEEP))
    await shop.run(deployment("web", SLEEP.replace("1000", "2000")))
    state = (await shop.get("Deployment", "web", "apps/v1"))["status"]
    assert (state["replicas"], state["updatedReplicas"], state["availableReplicas"]) == (1, 1, 1)


async def test_job_is_ready_when_it_has_completed(shop: Deployment) -> None:
    await shop.run(job("true"))
    assert (await shop.get("Job", "migrate", "batch/v1"))["status"]["succeeded"] == 1


async def test_failed_job_shows_its_last_lines(shop: Deployment) -> None:
    error = await refused(shop, job("echo no such table; exit 6"))
    assert "Job/migrate is not ready" in error.message
    assert "container app exited with code 6" in error.message
    assert error.detail == "no such table"


async def test_invalid_image_name_fails_at_once(shop: Deployment) -> None:
    error = await refused(shop, deployment("web", "image: 'Not An Image'"))
    assert "Not An Image is not a valid image reference" in error.message


async def test_image_that_is_not_on_the_node_fails_at_once(shop: Deployment) -> None:
    error = await refused(shop, deployment("web", "image: 'nope:1', imagePullPolicy: Never"))
    assert "image nope:1 is not on the node, and imagePullPolicy is Never" in error.message


async def test_image_that_cannot_be_pulled_shows_the_registrys_words(
    shop: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causes, "UNREACHABLE", 0.5)
    error = await refused(shop, deployment("web", "image: '127.0.0.1:9/nope:1'"))
    assert "image 127.0.0.1:9/nope:1 cannot be pulled" in error.message
    assert "connection refused" in error.message
    assert "imagePullSecrets" in (error.hint or "")


async def test_crash_loop_shows_exit_code_and_last_lines(shop: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causes, "BACK_OFF", 0.5)
    error = await refused(shop, deployment("web", CRASH))
    assert "container app exited with code 3" in error.message
    assert error.detail == "first\ncannot open database"


async def test_crash_is_told_while_waiting(shop: Deployment) -> None:
    await progress(shop, deployment("web", CRASH), "exited with code 3: cannot open database")


async def test_missing_program_fails_at_once(shop: Deployment) -> None:
    error = await refused(shop, deployment("web", "image: 'busybox:1.36', command: [nosuchprogram]"))
    assert 'container app cannot start: exec: "nosuchprogram": executable file not found' in error.message


async def test_missing_config_map_is_told(shop: Deployment) -> None:
    container = SLEEP + ", envFrom: [{configMapRef: {name: settings}}]"
    await progress(shop, deployment("web", container), 'cannot be created: configmap "settings" not found')


async def test_missing_volume_is_told(shop: Deployment) -> None:
    container = SLEEP + ", volumeMounts: [{name: keys, mountPath: /keys}]"
    text = deployment("web", container, pod="volumes: [{name: keys, secret: {secretName: keys}}]")
    await progress(shop, text, 'secret "keys" not found')


async def test_schedulers_words_are_told(shop: Deployment) -> None:
    await progress(shop, deployment("web", SLEEP, pod="nodeSelector: {gpu: 'yes'}"), "no node takes the pod: 0/1 nodes")


async def test_failing_probe_is_told(shop: Deployment) -> None:
    container = SLEEP + ", readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}"
    await progress(shop, deployment("web", container), "readiness probe failed: dial tcp")


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_exceeded_quota_fails(shop: Deployment, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(causes, "REFUSED", 0.2)
    quota = "---\n{apiVersion: v1, kind: ResourceQuota, metadata: {name: few}, spec: {hard: {pods: '0'}}}\n"
    error = await refused(shop, quota + controlled(kind, SLEEP))
    assert "pods are refused: exceeded quota: few, requested: pods=1, used: pods=0, limited: pods=0" in error.message


async def test_progress_deadline_fails_with_the_cause(shop: Deployment) -> None:
    text = deployment("web", SLEEP, spec="progressDeadlineSeconds: 1", pod="nodeSelector: {gpu: 'yes'}")
    error = await refused(shop, text)
    assert "made no progress for 1 s: no node takes the pod" in error.message


async def test_time_out_tells_the_cause_of_each(shop: Deployment) -> None:
    stuck = deployment("a", SLEEP, pod="nodeSelector: {gpu: 'yes'}")
    error = await refused(shop, stuck + stuck.replace(": a}", ": b}"), timeout=2)
    assert "Deployment/a is not ready after 2 s: 0 of 1 pods ready: no node takes the pod" in error.message
    assert "Deployment/b: is not ready after 2 s: 0 of 1 pods ready: no node" in (error.detail or "")


async def test_mended_version_is_not_blamed_for_the_former_ones_crash(shop: Deployment) -> None:
    with pytest.raises(NotReady):
        await shop.run(deployment("web", "image: 'busybox:1.36', command: [nosuchprogram]"))
    await shop.run(deployment("web", SLEEP))
    assert shop.failures != []


async def test_claim_for_its_first_consumer_is_ready(shop: Deployment) -> None:
    name = unique("test-class")
    made = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
    await objects.create(
        shop.client, {**made, "provisioner": "example.com/none", "volumeBindingMode": "WaitForFirstConsumer"}
    )
    await shop.run(claim(f"storageClassName: {name}"))
    done = [event.summary for event in shop.events if isinstance(event, StepDone)]
    assert "waits for its first consumer" in done
    await objects.delete(shop.client, ObjectKey("storage.k8s.io/v1", "StorageClass", "", name))


async def test_claim_without_storage_class_is_told(shop: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causes, "MISSING", 0.2)
    error = await refused(shop, claim("storageClassName: ''"))
    assert "PersistentVolumeClaim/data is not ready: waits for a volume: no persistent volumes available" in str(error)


async def test_load_balancer_that_nobody_serves_is_accepted(shop: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "LOAD_BALANCER_SECONDS", 0.3)
    await shop.run(LOAD_BALANCER)
    assert [event.summary for event in shop.events if isinstance(event, StepDone)][-1] == "has no address yet"


async def test_load_balancer_is_ready_with_its_address(shop: Deployment) -> None:
    applied = await shop.apply(LOAD_BALANCER)
    address = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    await objects.patch(shop.client, shop.key("Service", "web"), address, subresource="status")
    await wait_ready(shop.client, applied.keys, emit=shop.events.append, timeout=5)


async def test_object_that_does_not_exist_fails(shop: Deployment) -> None:
    with pytest.raises(NotReady, match="Deployment/web is not ready: does not exist"):
        await wait_ready(shop.client, [shop.key("Deployment", "web", "apps/v1")], emit=shop.events.append, timeout=5)


async def test_object_deleted_meanwhile_fails(shop: Deployment) -> None:
    stuck = deployment("web", SLEEP, pod="nodeSelector: {gpu: 'yes'}")
    applied = await shop.apply(stuck)
    waiting = wait_ready(shop.client, applied.keys, emit=shop.events.append, timeout=20)
    results = await asyncio.gather(waiting, _delete_when_told(shop, "no node"), return_exceptions=True)
    assert str(results[0]) == "Deployment/web is not ready: was deleted"


async def _delete_when_told(shop: Deployment, words: str) -> None:
    await until(lambda: any(words in message for message in shop.progress))
    await objects.delete(shop.client, shop.key("Deployment", "web", "apps/v1"))


async def test_developer_with_rights_inside_only_can_wait(shop: Deployment, developer: Client) -> None:
    applied = await shop.apply(deployment("web", SLEEP))
    await wait_ready(developer, applied.keys, emit=shop.events.append, timeout=20)


async def test_kind_that_may_not_be_watched_is_told(shop: Deployment, developer: Client) -> None:
    node = ObjectKey("v1", "Node", "", "x")
    with pytest.raises(Forbidden, match=r'User "dev-.*" cannot list resource "nodes"'):
        await wait_ready(developer, [node], emit=shop.events.append, timeout=5)


async def test_waiting_costs_no_cpu(shop: Deployment) -> None:
    applied = await shop.apply(deployment("web", SLEEP, pod="nodeSelector: {gpu: 'yes'}"))
    with pytest.raises(NotReady):
        await wait_ready(shop.client, applied.keys, emit=shop.events.append, timeout=1)
    before = time.process_time()
    with pytest.raises(NotReady):
        await wait_ready(shop.client, applied.keys, emit=shop.events.append, timeout=3)
    assert time.process_time() - before < 0.5
