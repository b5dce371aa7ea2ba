"""From a project on a cluster to the patch that makes its templates say what was changed there by hand."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from innerloop.config.loading import Options
from innerloop.errors import LoopError
from innerloop.events import Emit, reported
from innerloop.gitops.harvest import changes as live
from innerloop.gitops.harvest import copies, patching
from innerloop.gitops.harvest.attributing import Attributed, Experiments
from innerloop.gitops.harvest.copies import Copy, fields_of
from innerloop.gitops.harvest.fields import differences
from innerloop.gitops.harvest.patching import Edited
from innerloop.kube.client import Client
from innerloop.manifest import Manifest
from innerloop.plugins import Plugins
from innerloop.project import Project
from innerloop.render.rendering import render


class Harvest(NamedTuple):
    """What was found."""

    attributed: tuple[Attributed, ...]
    """Every change, in the order of the rendering."""
    edited: tuple[Edited, ...]
    """The files as they are and as they would be."""
    top: Path | None
    """Of the repository, None without one."""
    patch: str
    """Empty where nothing can be changed in the templates."""

    @property
    def is_complete(self) -> bool:
        """Whether every change has its place."""
        return all(one.edits for one in self.attributed)


async def harvest(client: Client, project: Project, options: Options, plugins: Plugins, emit: Emit) -> Harvest:
    """Look for what was changed by hand, and for the places that decide it; nothing is written.

    ``options`` are those that the project was loaded with. Shell hooks around rendering do not run. Raises LoopError
    when the project is not deployed, or cannot be rendered.
    """
    with reported(emit, "compare", "compare with the cluster") as outcome:
        if not await live.is_deployed(client, project):
            raise LoopError(
                f"{project.name} is not deployed in namespace {project.namespace}",
                hint="there is something to harvest after: loop deploy, or loop dev",
            )
        manifests = await render(project, namespace=project.namespace, plugins=plugins)
        manifests = await plugins.after_render(manifests, project)
        found = await live.changes(client, project, manifests)
        outcome.summary = f"{len(found)} field{'s' * (len(found) != 1)} changed by hand"
    top = await patching.repository_of(project.folder)
    if not found:
        return Harvest((), (), top, "")
    with reported(emit, "attribute", "look for where they are decided") as outcome:
        with copies.copied(project, options, plugins) as copy:
            attributed = await _attributed(copy, project, manifests, found, top)
            edited = tuple(_edited(copy, project, top))
        outcome.summary = f"{sum(bool(one.edits) for one in attributed)} of {len(attributed)} found"
    return Harvest(tuple(attributed), edited, top, patching.patch(edited, top or project.folder))


async def _attributed(
    copy: Copy, project: Project, manifests: list[Manifest], found: list[live.Change], top: Path | None
) -> list[Attributed]:
    await copies.complete_charts(copy, project)
    rendered = await copy.render()
    # what a chart makes up anew at each rendering tells nothing
    noise = frozenset(differences(fields_of(manifests, project.namespace), rendered))
    return await Experiments(copy, project, top or project.folder, rendered, noise).attribute(found)


def _edited(copy: Copy, project: Project, top: Path | None) -> list[Edited]:
    within = top or project.folder
    found = []
    for path in copies.inputs_of(project):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and file.is_relative_to(within) and copy.place(file).is_file():
                if copy.place(file).read_bytes() != file.read_bytes():
                    found.append(Edited(file, copies.text_of(file), copy.read(file)))
    return found
