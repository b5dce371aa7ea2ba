"""What of a project runs in the cluster, by its inventory: works without rendering, also beside a broken template."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from innerloop.config.problems import suggestion
from innerloop.deploy import inventory
from innerloop.deploy.together import together
from innerloop.dev.matching import fits_none
from innerloop.dev.pods import is_terminating, target_containers
from innerloop.engine.workloads import Workload, foreign_workload, workloads
from innerloop.errors import LoopError
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import NotFound
from innerloop.manifest import Manifest, ObjectKey
from innerloop.project import Project

WORKLOAD_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Pod")


async def service_workloads(client: Client, project: Project) -> list[Workload]:
    """What the project's services run as: its workloads as they are in the cluster, and the pods of others that its
    dev targets select.

    Raises LoopError when it is not deployed there, and has no such targets.
    """
    stored = await inventory.read(client, project.name, project.namespace)
    entries = stored.inventory.entries.values() if stored else ()
    keys = [entry.key for entry in entries if entry.key.kind in WORKLOAD_KINDS]
    objects = await together(partial(_get, client), keys, name="get workload")
    manifests = [Manifest(object) for object in objects if object is not None]
    foreign = [target for target in project.dev.values() if fits_none(manifests, target)]
    if stored is None and not foreign:
        raise LoopError(
            f"{project.name} is not deployed in namespace {project.namespace}",
            hint="deploy it: loop deploy, or loop dev",
        )
    own = workloads(manifests, project.namespace)
    return own + [foreign_workload(target, project.namespace) for target in foreign]


def pick(found: Sequence[Workload], service: str) -> list[Workload]:
    """The workloads that a user means by a service: those of a dev target of that name, else the workload itself.

    Raises LoopError with a suggestion when there is none.
    """
    chosen = [one for one in found if service in one.targets] or [one for one in found if one.service == service]
    if chosen:
        return chosen
    names = sorted({name for one in found for name in (one.service, *one.targets)})
    raise LoopError(f"no service '{service}' is deployed", hint=suggestion(service, names))


def only(found: Sequence[Workload]) -> Workload:
    """The workload that is meant when none is named: the only developed one, or the only one.

    Raises LoopError that lists them when there are several.
    """
    candidates = [one for one in found if one.targets] or list(found)
    if len(candidates) == 1:
        return candidates[0]
    names = ", ".join(one.service for one in candidates)
    raise LoopError("which service?", hint=f"name one of: {names}" if names else "none that has pods is deployed")


async def running_pod(client: Client, workload: Workload, container: str = "", target: str = "") -> tuple[str, str]:
    """Name and container of the workload's newest running pod; a dev target's own container unless one is named.

    Raises LoopError when none runs, or the pod has no such container.
    """
    key = workload.key
    pods, _ = await objects.list_all(client, "v1", "Pod", namespace=key.namespace, label_selector=workload.selector)
    running = [pod for pod in pods if _is_running(pod)]
    if not running:
        why = f"kubectl get pods -n {key.namespace} -l '{workload.selector}'" if workload.foreign else "loop status"
        raise LoopError(f"no pod of {workload.service} runs", hint=f"see why: {why}")
    pod = max(running, key=lambda pod: (_is_ready(pod), pod["metadata"]["creationTimestamp"]))
    names = [one["name"] for one in pod["spec"]["containers"]]
    wanted = container or next(iter(target_containers(pod, target)), "") or _default(pod) or names[0]
    if wanted not in names:
        raise LoopError(f"{workload.service} has no container '{wanted}'", hint=f"it has: {', '.join(names)}")
    return pod["metadata"]["name"], wanted


async def _get(client: Client, key: ObjectKey) -> dict[str, Any] | None:
    try:
        found = await objects.get(client, key)
    except NotFound:
        return None
    # lists and watches need them, and the server leaves them out of some answers
    return {"apiVersion": key.api_version, "kind": key.kind, **found}


def _is_running(pod: dict[str, Any]) -> bool:
    return pod["status"].get("phase") == "Running" and not is_terminating(pod)


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _default(pod: dict[str, Any]) -> str:
    # what kubectl goes by since 1.21
    annotations: dict[str, str] = pod["metadata"].get("annotations") or {}
    return annotations.get("kubectl.kubernetes.io/default-container", "")
