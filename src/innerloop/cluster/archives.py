"""An image as an archive, from wherever it is: a file, docker, or buildah's and podman's storage."""

from __future__ import annotations

import shutil
from pathlib import Path

from innerloop import processes
from innerloop.errors import LoopError


async def archive(image: str, folder: Path) -> Path:
    """Path of an archive (docker or OCI format) with the image; made in ``folder`` unless it is one already.

    Raises LoopError that tells where the image was looked for.
    """
    path = Path(image)
    if path.is_file():
        return path
    target = folder / "image.tar"
    tried = []
    for program, look, save in _STORES:
        if shutil.which(program) is None:
            continue
        looked = await processes.run([program, *look, image], check=False)
        if looked.code == 0:
            command = [part.format(image=image, target=target) for part in save]
            await processes.run([program, *command])
            return target
        tried.append(f"{program}: {looked.stderr.decode(errors='replace').strip() or 'not there'}")
    raise LoopError(
        f"no image {image} here",
        detail="\n".join(tried) or "neither docker nor podman nor buildah is installed",
        hint="build it first, or name an archive (docker save -o image.tar …)",
    )


_STORES = (
    ("docker", ["image", "inspect", "--format", "{{.Id}}"], ["save", "-o", "{target}", "{image}"]),
    # one storage for both, whichever is there
    (
        "buildah",
        ["inspect", "--type", "image", "--format", "{{.FromImageID}}"],
        ["push", "{image}", "docker-archive:{target}:{image}"],
    ),
    ("podman", ["image", "inspect", "--format", "{{.Id}}"], ["save", "-o", "{target}", "{image}"]),
)
