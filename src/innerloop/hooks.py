"""Hooks: shell commands and plugin functions at the points of a session."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from innerloop.config.variables import BUILT_IN
from innerloop.config.yaml import dump_all
from innerloop.errors import LoopError
from innerloop.events import Emit, StepOutput, reported
from innerloop.manifest import Manifest
from innerloop.paths import project_state
from innerloop.plugins import Plugins
from innerloop.processes import stream
from innerloop.project import Project

if TYPE_CHECKING:
    # rendering needs no builder, and starts in half the time without
    from innerloop.build.building import BuiltImage

LAST_LINES = 20


class Surroundings(Protocol):
    """What hooks need of a session's scope; rendering alone has no cluster."""

    @property
    def variables(self) -> dict[str, str]: ...

    @property
    def emit(self) -> Emit: ...


class Hooks:
    """The hooks of one project (None: someone else's manifests, which have none).

    A failing hook raises LoopError, which stops the step that it stands before.
    """

    def __init__(self, project: Project | None, plugins: Plugins, scope: Surroundings) -> None:
        self._project = project
        self._plugins = plugins
        self._scope = scope

    def has(self, point: str) -> bool:
        """Whether anything runs at ``point``."""
        return self._project is not None and bool(self._project.hooks.get(point) or self._plugins.hooks.get(point))

    async def run(
        self,
        point: str,
        *,
        images: Mapping[str, BuiltImage] | None = None,
        manifests: Iterable[Manifest] | None = None,
    ) -> None:
        """Run the commands, then the plugin functions, of ``point`` in order."""
        if self._project is None or not self.has(point):
            return
        project, step = self._project, f"hook/{self._project.name}/{point}"
        with reported(self._scope.emit, step, f"{point} hook of {project.name}"):
            env = self._scope.variables | image_variables(images or {})
            if manifests is not None:
                env["LOOP_MANIFESTS"] = str(write_manifests(project.folder, manifests))
            for command in project.hooks.get(point, ()):
                await self._command(project, point, command, env, step)
            if point != "after-render":
                await self._plugins.run(point, project)

    async def after_render(self, manifests: list[Manifest]) -> list[Manifest]:
        """Run the ``after-render`` hooks; plugin functions may change the stream, commands see what came of it."""
        if self._project is None or not self.has("after-render"):
            return manifests
        changed = await self._plugins.after_render(manifests, self._project)
        await self.run("after-render", manifests=changed)
        return changed

    async def _command(self, project: Project, point: str, command: str, env: Mapping[str, str], step: str) -> None:
        lines: list[str] = []

        def on_line(line: str) -> None:
            lines.append(line)
            self._scope.emit(StepOutput(step=step, text=line))

        code = await stream(["sh", "-c", command], on_line, cwd=project.folder, env=env)
        if code:
            raise LoopError(
                f"the {point} hook ended with status {code}: {command}",
                where=project.where(f"hooks.{point}"),
                detail="\n".join(lines[-LAST_LINES:]) or None,
            )


class _Alone(NamedTuple):
    variables: dict[str, str]
    emit: Emit


def hooks_alone(project: Project, plugins: Plugins, emit: Emit) -> Hooks:
    """The hooks of a project around work that no cluster takes part in."""
    values = {name: project.variables[name].value for name in BUILT_IN if name in project.variables}
    return Hooks(project, plugins, _Alone(values, emit))


def image_variables(images: Mapping[str, BuiltImage]) -> dict[str, str]:
    """``LOOP_IMAGE_<NAME>`` for each built image; what can't stand in a variable's name becomes ``_``."""
    return {"LOOP_IMAGE_" + re.sub(r"\W", "_", name).upper(): image.reference for name, image in images.items()}


def write_manifests(folder: Path, manifests: Iterable[Manifest]) -> Path:
    """Write the stream into the project's state folder; returns the folder that hooks see as LOOP_MANIFESTS."""
    target = project_state(folder) / "manifests"
    target.mkdir(exist_ok=True)
    (target / "manifests.yaml").write_text(dump_all([manifest.object for manifest in manifests]))
    return target
