"""Why a pod, or what creates pods, is not ready: in words, and for how long there is hope.

Pure functions over objects and Events as the API returns them (reasons of the kubelet and the controllers of
Kubernetes 1.27 to 1.36). Nothing here looks at a clock: ``patience`` counts from when a cause is first seen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

Object = dict[str, Any]

AT_ONCE = 0.0
REFUSED = 10.0
"""The registry says no, or admission does (quota, policy): a pod that still ends may free the quota."""
MISSING = 30.0
"""A ConfigMap, Secret or key that is not there: operators make some of them a little later."""
UNREACHABLE = 60.0
"""A registry that can't be reached."""
BACK_OFF = 60.0
"""The kubelet itself waits 10, 20, 40, then 80 s before it restarts a container that crashes: so the fifth crash,
after about two minutes, is one too many; programs that crash until what they need is there have that long."""

_PULL_CALLS = re.compile(
    r'^Back-off pulling image "[^"]*"(: \w+)?:? ?|^Failed to pull image "[^"]*": |rpc error: code = \w+ desc = |'
    r'failed to (pull and unpack image|resolve reference) "[^"]*": '
)
_DEFINITE = re.compile(
    r"not found|manifest unknown|unauthori[sz]ed|denied|forbidden|no match for platform", re.IGNORECASE
)
_REFUSAL_CALLS = re.compile(
    r"^(\(combined from similar events\): )?(Error creating: |Create Pod .* failed error: )?"
    r'(pods "[^"]*" is forbidden: )?'
)


class Cause(NamedTuple):
    kind: str
    """``image``, ``crash``, ``restart``, ``start``, ``config``, ``volume``, ``scheduling``, ``probe``, ``refused``,
    ``blocked``, ``progress``; a cause is the same one for as long as kind, pod and container are."""
    message: str
    patience: float | None = None
    """Seconds after which it counts as a failure; None: as long as the whole wait."""
    pod: str = ""
    container: str = ""
    logs: Literal["", "current", "previous"] = ""
    """Which of the container's logs tells more: that of the instance there is, or of the one before."""
    restarts: int = 0

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.kind, self.pod, self.container)

    @property
    def urgency(self) -> tuple[float, bool]:
        """Sorts what needs telling first."""
        return (float("inf") if self.patience is None else self.patience, self.kind == "progress")


def pod_cause(pod: Object, events: Sequence[Object]) -> Cause:
    """Why a pod is not ready; ``events`` are the pod's own, oldest first."""
    cause = _scheduling(pod) or _containers(pod, events) or _volumes(events) or _gates(pod) or _progress(pod, events)
    return cause._replace(pod=pod["metadata"]["name"])


def creation_cause(object: Object, events: Sequence[Object]) -> Cause | None:
    """Why a workload has no pods, from a Deployment's conditions or the Events of what creates its pods."""
    for condition in (object.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return _refused(condition.get("message", ""))
    failed = _last(events, "FailedCreate")
    return _refused(failed["message"]) if failed else None


def claim_cause(events: Sequence[Object]) -> Cause | None:
    """Why a PersistentVolumeClaim has no volume."""
    if unbound := _last(events, "FailedBinding"):
        return Cause("volume", unbound["message"], MISSING)
    failed = _last(events, "ProvisioningFailed")
    return Cause("volume", failed["message"]) if failed else None


def _scheduling(pod: Object) -> Cause | None:
    for condition in pod["status"].get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            # the scheduler adds what preemption came to, which helps nobody here
            message = re.sub(r"\s*(no new claims to deallocate,|preemption:).*", "", condition.get("message", ""))
            return Cause("scheduling", f"no node takes the pod: {message or condition.get('reason')}")
    return None


def _containers(pod: Object, events: Sequence[Object]) -> Cause | None:
    status = pod["status"]
    statuses = (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or [])
    causes = [cause for one in statuses if (cause := _container(one, pod, events))]
    return min(causes, key=lambda cause: cause.urgency, default=None)


def _container(status: Object, pod: Object, events: Sequence[Object]) -> Cause | None:
    state = status.get("state") or {}
    waiting = state.get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    name, image = status["name"], status.get("image") or _image(pod, status["name"])
    if reason == "InvalidImageName":
        return Cause("image", f"{image} is not a valid image reference: {_tail(message)}", AT_ONCE, container=name)
    if reason == "ErrImageNeverPull":
        text = f"image {image} is not on the node, and imagePullPolicy is Never"
        return Cause("image", text, AT_ONCE, container=name)
    if "Image" in reason or reason == "RegistryUnavailable":
        return _pull(image, message, events)._replace(container=name)
    if reason in ("CreateContainerConfigError", "CreateContainerError"):
        return Cause("config", f"container {name} cannot be created: {message}", MISSING, container=name)
    return _crash(status, pod, events)


def _pull(image: str, message: str, events: Sequence[Object]) -> Cause:
    # before Kubernetes 1.31 the back-off does not repeat what the registry said
    if ": " not in message and (failed := _last(events, "Failed", "pull")):
        message = failed["message"]
    words = _PULL_CALLS.sub("", message)
    text = f"image {image} cannot be pulled" + (f": {words}" if words else "")
    return Cause("image", text, REFUSED if _DEFINITE.search(words) else UNREACHABLE)


def _crash(status: Object, pod: Object, events: Sequence[Object]) -> Cause | None:
    state = status.get("state") or {}
    ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated")
    if status.get("ready") or not ended or (ended.get("exitCode") == 0 and "terminated" in state):
        return None
    name, restarts = status["name"], status.get("restartCount") or 0
    if ended.get("reason") in ("StartError", "ContainerCannotRun"):
        words = ended.get("message", "").removesuffix(": unknown").rpartition("container process: ")[2]
        return Cause("start", f"container {name} cannot start: {words}", AT_ONCE, container=name)
    text = f"container {name} {_ending(ended, pod, name, events)}"
    if restarts:
        text += f", restarted {restarts} {'time' if restarts == 1 else 'times'}"
    if "running" in state:
        return Cause("restart", text, container=name, logs="previous", restarts=restarts)
    # the state is first the end itself, some seconds later CrashLoopBackOff; a Job makes new pods instead
    patience = None if pod["spec"].get("restartPolicy") == "Never" else BACK_OFF
    return Cause("crash", text, patience, container=name, logs="current", restarts=restarts)


def _ending(ended: Object, pod: Object, container: str, events: Sequence[Object]) -> str:
    if ended.get("reason") == "OOMKilled":
        limit = ((_spec(pod, container).get("resources") or {}).get("limits") or {}).get("memory")
        return f"was killed: out of memory{f' (limit {limit})' if limit else ''}"
    code = ended.get("exitCode")
    for probe in ("Liveness", "Startup"):
        if code in (137, 143) and (failed := _last(events, "Unhealthy", f"{probe} probe")):
            return f"was killed by the kubelet: {_probe_words(failed['message'])}"
    return f"exited with code {code}"


def _volumes(events: Sequence[Object]) -> Cause | None:
    for reason in ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"):
        if failed := _last(events, reason):
            missing = re.search(r'(configmap|secret) "[^"]+" not found|references non-existent', failed["message"])
            return Cause("volume", failed["message"], MISSING if missing else None)
    return None


def _gates(pod: Object) -> Cause | None:
    conditions = {one["type"]: one for one in pod["status"].get("conditions") or []}
    for gate in pod["spec"].get("readinessGates") or []:
        type = gate["conditionType"]
        ready = conditions.get("ContainersReady", {}).get("status") == "True"
        if ready and conditions.get(type, {}).get("status") != "True":
            return Cause("probe", f"waits for the readiness gate {type}")
    return None


def _progress(pod: Object, events: Sequence[Object]) -> Cause:
    if any((one.get("state") or {}).get("running") for one in pod["status"].get("containerStatuses") or []):
        if failed := _last(events, "Unhealthy"):
            return Cause("probe", _probe_words(failed["message"]))
        return Cause("progress", "running, not ready yet")
    if events and events[-1].get("reason") == "Pulling":
        return Cause("progress", events[-1]["message"].replace("Pulling", "pulling", 1))
    return Cause("progress", "starting")


def _refused(message: str) -> Cause:
    return Cause("refused", f"pods are refused: {_REFUSAL_CALLS.sub('', message)}", REFUSED)


def _probe_words(message: str) -> str:
    # 'Readiness probe failed: Get "http://…": dial tcp …' as the kubelet writes it
    words = message.strip().removesuffix(":")
    return words[:1].lower() + words[1:]


def _last(events: Sequence[Object], reason: str, text: str = "") -> Object | None:
    return next((e for e in reversed(events) if e.get("reason") == reason and text in e.get("message", "")), None)


def _image(pod: Object, container: str) -> str:
    return str(_spec(pod, container).get("image", ""))


def _spec(pod: Object, container: str) -> Object:
    spec = pod["spec"]
    found = (one for one in (spec.get("initContainers") or []) + spec["containers"] if one["name"] == container)
    return next(found, {})


def _tail(message: str) -> str:
    return message.rpartition('": ')[2]
