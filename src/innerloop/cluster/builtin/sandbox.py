"""The image of the pods' first process, made here from the compiled program: no registry needed."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

from innerloop import processes
from innerloop.cluster.builtin import containerd
from innerloop.cluster.builtin.configuration import SANDBOX_IMAGE

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_MEDIA = "application/vnd.oci.image"


async def ensure(folder: Path, keeper: int, pause: Path) -> None:
    """Have the image in containerd; waits for containerd to answer."""
    program = pause.read_bytes()
    # beside containerd's data: gone with it
    marker = folder / "var/lib/containerd" / f"innerloop-pause-{hashlib.sha256(program).hexdigest()[:16]}"
    if marker.exists():
        return
    await containerd.wait_ready(keeper)
    await processes.run([*containerd.ctr(keeper), "images", "import", "-"], input=archive(program, SANDBOX_IMAGE))
    await asyncio.to_thread(marker.touch)


def archive(program: bytes, name: str) -> bytes:
    """An archive in the OCI image layout 1.0 with one image: ``program`` as /pause, nothing else."""
    layer = _tar({"pause": program}, mode=0o755)
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        "history": [{"created_by": "innerloop"}],
    }
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, media: str) -> dict[str, object]:
        blobs[f"blobs/sha256/{_digest(content).removeprefix('sha256:')}"] = content
        return {"mediaType": media, "digest": _digest(content), "size": len(content)}

    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_MEDIA}.manifest.v1+json",
        "config": blob(_json(config), f"{_MEDIA}.config.v1+json"),
        "layers": [blob(layer, f"{_MEDIA}.layer.v1.tar")],
    }
    entry = {
        **blob(_json(manifest), f"{_MEDIA}.manifest.v1+json"),
        "platform": {"architecture": architecture, "os": "linux"},
        # where containerd looks for the name (its own annotation, since 1.2)
        "annotations": {"io.containerd.image.name": name},
    }
    files = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "manifests": [entry]}),
        **blobs,
    }
    return _tar(files, mode=0o644)


def _tar(files: dict[str, bytes], *, mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
