"""The program that runs in developed containers, and the ConfigMap that brings it there.

``make helper`` compiles it from ``native/helper``; released packages carry it.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path

from innerloop.errors import LoopError
from innerloop.manifest import Manifest

MOUNT = "/.innerloop"
"""Folder in the container. The runtime makes it, also where the root file system is read-only."""
PROGRAM = f"{MOUNT}/loop-helper"
VOLUME = "innerloop-helper"
ARCHITECTURES = ("amd64", "arm64")


@functools.cache
def program(architecture: str) -> bytes:
    """The static program for a node's architecture (``status.nodeInfo.architecture``)."""
    if architecture not in ARCHITECTURES:
        raise LoopError(
            f"cannot develop on nodes of architecture {architecture}",
            detail=f"there is a helper program for {' and '.join(ARCHITECTURES)}",
        )
    try:
        return (Path(__file__).parent / f"loop-helper-linux-{architecture}").read_bytes()
    except FileNotFoundError as error:
        raise LoopError(
            f"the helper program for {architecture} is missing: {error.filename}",
            hint="in a checkout, `make helper` compiles it",
        ) from error


def config_map(architecture: str, namespace: str, project: str) -> Manifest:
    """The program as an immutable ConfigMap, named by its content: a new version is a new object, and pods that
    still use the old one keep it."""
    data = program(architecture)
    name = "-".join(filter(None, ("innerloop-helper", project, hashlib.sha256(data).hexdigest()[:12])))
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return Manifest(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "immutable": True,
            "binaryData": {"loop-helper": base64.b64encode(data).decode()},
        },
        source="innerloop",
    )
