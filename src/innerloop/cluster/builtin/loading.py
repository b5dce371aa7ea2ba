"""``load`` into a built-in cluster: an image goes to containerd under its name, and to the registry.

In containerd it is there for pods that pull only what is missing, or never; in the registry for those that always
pull (the default for the tag ``latest``), and for builds that start from it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from innerloop import processes
from innerloop.cluster import archives, records
from innerloop.cluster.builtin import containerd, keeper
from innerloop.errors import LoopError
from innerloop.events import Emit, StepProgress, reported


async def load(name: str, images: Sequence[str], emit: Emit) -> None:
    """Load each of ``images`` (references, or archives by path). Raises LoopError when the cluster is not up."""
    record = records.read(name)
    pid = keeper.find(records.folder_of(name))
    if record is None or pid is None:
        raise LoopError(f"cluster {name} is not running", hint=f"start it: loop cluster up {name}")
    for image in images:
        step = f"cluster/load/{image}"
        with reported(emit, step, f"load {image}") as outcome:
            with tempfile.TemporaryDirectory(prefix="innerloop-") as folder:
                emit(StepProgress(step=step, message="reading the image"))
                archive = await archives.archive(image, Path(folder))
                emit(StepProgress(step=step, message="importing"))
                names = await _import(pid, archive)
            for loaded in names:
                emit(StepProgress(step=step, message=f"pushing {loaded} to the registry"))
                await _push(pid, loaded, f"localhost:{record.registry_port}")
            outcome.summary = ", ".join(names)


async def _import(pid: int, archive: Path) -> list[str]:
    """Names of the images in the archive, as containerd has them now (``docker.io/library/web:1``)."""
    completed = await processes.run([*containerd.ctr(pid), "images", "import", str(archive)])
    # "unpacking docker.io/library/web:1 (sha256:…)...done"
    return re.findall(r"^unpacking (\S+) \(", completed.text, re.MULTILINE)


async def _push(pid: int, name: str, registry: str) -> None:
    """Push under the name's repository: the registry mirrors all others, so the host part counts for nothing."""
    repository = name.partition("/")[2]
    if "@" in repository:
        # by digest alone: no name to push to
        return
    await processes.run([*containerd.ctr(pid), "images", "push", "--plain-http", f"{registry}/{repository}", name])
