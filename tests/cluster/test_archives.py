from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from innerloop.cluster.archives import archive
from innerloop.errors import LoopError

IMAGE = "innerloop-archived:1"


@pytest.fixture
def built(tmp_path: Path) -> Iterator[str]:
    """An image in buildah's storage."""
    if shutil.which("buildah") is None:
        pytest.skip("no buildah")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    subprocess.run(["buildah", "bud", "--quiet", "--tag", IMAGE, str(tmp_path)], check=True, capture_output=True)
    yield IMAGE
    subprocess.run(["buildah", "rmi", f"localhost/{IMAGE}"], check=True, capture_output=True)


async def test_an_image_of_buildah_keeps_the_name_that_pods_use(built: str, tmp_path: Path) -> None:
    file = await archive(built, tmp_path)
    with tarfile.open(file) as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        # not only under "localhost/", as buildah itself has it
        assert f"docker.io/library/{IMAGE}" in json.load(manifest)[0]["RepoTags"]


async def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "image.tar"
    file.touch()
    assert await archive(str(file), tmp_path) == file


async def test_an_unknown_image_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(LoopError, match="no image nowhere:1 here"):
        await archive("nowhere:1", tmp_path)
