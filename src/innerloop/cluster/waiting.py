"""What any cluster must do before it is of use: checks that ``up`` waits for and ``status`` reports on.

Each returns what is wrong in words, empty when nothing is.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from innerloop.kube import config
from innerloop.kube.access import Access
from innerloop.kube.client import Client
from innerloop.kube.errors import KubeError, NotFound, ServerError

ANSWER_SECONDS = 2.0


def access_of(kubeconfig: Path) -> Access:
    return config.access(config.load([kubeconfig]))


async def api_problem(client: Client) -> str:
    """Why the API server is of no use."""
    try:
        await client.request("GET", "/readyz", timeout=ANSWER_SECONDS)
    except ServerError:
        # the answer is a list of checks, most of them passed
        return "the API server is not ready yet"
    except KubeError as error:
        return f"the API server does not answer: {error.message}"
    return ""


async def node_problem(client: Client, name: str, *, heard_since: float = 0.0) -> str:
    """Why a node takes no pods.

    ``heard_since`` (seconds since the epoch) demands a report of the kubelet from then or later.
    """
    try:
        node = await client.request_json("GET", f"/api/v1/nodes/{name}", timeout=ANSWER_SECONDS)
    except NotFound:
        return "the node has not registered yet"
    except KubeError as error:
        return f"the node can't be looked at: {error.message}"
    return _node_problem(node, heard_since)


async def any_node_problem(client: Client) -> str:
    """Why some node takes no pods."""
    try:
        nodes = await client.request_json("GET", "/api/v1/nodes", timeout=ANSWER_SECONDS)
    except KubeError as error:
        return f"the nodes can't be looked at: {error.message}"
    items = nodes.get("items") or []
    return next(filter(None, (_node_problem(node, 0.0) for node in items)), "" if items else "there is no node yet")


async def account_problem(client: Client) -> str:
    """Pods are refused until the namespace's ServiceAccount is there."""
    path = "/api/v1/namespaces/default/serviceaccounts/default"
    try:
        await client.request("GET", path, timeout=ANSWER_SECONDS)
    except KubeError as error:
        return f"the default ServiceAccount is missing: {error.message}"
    return ""


def _node_problem(node: dict[str, Any], heard_since: float) -> str:
    conditions: list[dict[str, Any]] = (node.get("status") or {}).get("conditions") or []
    ready = next((condition for condition in conditions if condition["type"] == "Ready"), {})
    heartbeat = ready.get("lastHeartbeatTime")
    # times in the API have whole seconds
    if heartbeat is None or datetime.fromisoformat(heartbeat).timestamp() < int(heard_since):
        return "the kubelet has not reported yet"
    name = node["metadata"]["name"]
    if ready.get("status") != "True":
        return f"node {name} is not ready: {ready.get('message') or ready.get('reason') or 'no reason given'}"
    pressures = [
        f"{condition['type']}: {condition.get('message', '')}"
        for condition in conditions
        if condition["type"].endswith("Pressure") and condition["status"] == "True"
    ]
    return f"node {name} is under pressure ({'; '.join(pressures)})" if pressures else ""
