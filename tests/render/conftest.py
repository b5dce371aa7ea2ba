"""A project whose files a test writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from innerloop.manifest import Manifest
from innerloop.project import HelmSource, ManifestSource, Origin, Project, Variable
from innerloop.render.rendering import render


class Workspace:
    """A folder with a project in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def project(self, *sources: ManifestSource, **variables: str) -> Project:
        values = {
            name: Variable(name=name, value=value, origin=Origin(kind="default")) for name, value in variables.items()
        }
        return Project(
            name="shop", file=self.folder / "loop.yaml", folder=self.folder, manifests=sources, variables=values
        )

    async def render(self, *sources: ManifestSource, **variables: str) -> list[Manifest]:
        return await render(self.project(*sources, **variables), namespace="mine")

    def chart(self, name: str = "chart", **templates: str) -> Path:
        """A chart that has these templates."""
        self.write(f"{name}/Chart.yaml", f"apiVersion: v2\nname: {Path(name).name}\nversion: 0.1.0\n")
        for template, text in templates.items():
            self.write(f"{name}/templates/{template}.yaml", text)
        return self.folder / name

    def helm(self, name: str = "chart", values: Sequence[str] = (), **fields: object) -> HelmSource:
        files = tuple(self.folder / file for file in values)
        return HelmSource(chart=str(self.folder / name), release="shop", values=files, **fields)  # type: ignore[arg-type] # by name

    def snapshot(self) -> dict[str, bytes]:
        """Every file with its content."""
        return {str(file): file.read_bytes() for file in self.folder.rglob("*") if file.is_file()}


def config_map(name: str, **data: str) -> str:
    lines = [f"  {key}: {value}" for key, value in data.items()]
    head = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n"
    return head + ("data:\n" + "\n".join(lines) + "\n" if lines else "")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    space = Workspace(tmp_path / "shop")
    monkeypatch.chdir(space.folder)
    return space
