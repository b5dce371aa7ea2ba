"""Build the images of a project, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from innerloop.config.dependencies import Tree
from innerloop.config.problems import suggestion
from innerloop.engine.connecting import connected
from innerloop.engine.deploying import make_plan
from innerloop.engine.graph import Graph
from innerloop.engine.steps import plan_steps
from innerloop.errors import LoopError
from innerloop.events import Emit, Notice
from innerloop.project import Project


async def build_images(tree: Tree, names: Iterable[str], emit: Emit) -> None:
    """Build the named images of the root project, all when none is named, with the hooks around building.

    Raises LoopError for a name that is no image's, and for what fails.
    """
    wanted = {f"build/{name}" for name in _chosen(tree.project, tuple(names))}
    if not wanted:
        emit(Notice(level="info", message=f"{tree.project.name} has no images to build"))
        return
    wanted |= {"before-build", "base-images", "after-build"}
    async with connected(tree.project, emit) as scope:
        steps = [step for step in plan_steps(tree, await make_plan(tree, scope)) if step.name in wanted]
        here = {step.name for step in steps}
        await Graph().run([step._replace(needs=tuple(need for need in step.needs if need in here)) for step in steps])


def _chosen(project: Project, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in project.images:
            raise LoopError(f"the project has no image '{name}'", hint=suggestion(name, project.images))
    return names or tuple(project.images)
