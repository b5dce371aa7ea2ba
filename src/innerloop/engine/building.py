"""Build the images of a project, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from innerloop.build.building import BuiltImage
from innerloop.config.dependencies import Tree
from innerloop.config.problems import suggestion
from innerloop.engine.connecting import connected
from innerloop.engine.deploying import make_plan
from innerloop.engine.graph import Graph
from innerloop.engine.steps import plan_steps
from innerloop.errors import LoopError
from innerloop.events import Emit, Notice
from innerloop.project import Project


async def build_images(tree: Tree, names: Iterable[str], emit: Emit) -> list[BuiltImage]:
    """Build the named images of the root project, all when none is named, with the hooks around building.

    They are brought to where the project's cluster finds them. Raises LoopError for a name that is no image's, and for
    what fails.
    """
    builds = [f"build/{name}" for name in chosen_images(tree.project, tuple(names))]
    if not builds:
        emit(Notice(level="info", message=f"{tree.project.name} has no images to build"))
        return []
    wanted = set(builds)
    wanted |= {"before-build", "base-images", "after-build"}
    async with connected(tree.project, emit) as scope:
        steps = [step for step in plan_steps(tree, await make_plan(tree, scope)) if step.name in wanted]
        here = {step.name for step in steps}
        graph = Graph()
        await graph.run([step._replace(needs=tuple(need for need in step.needs if need in here)) for step in steps])
        return [graph.value(name) for name in builds]


def chosen_images(project: Project, names: tuple[str, ...]) -> tuple[str, ...]:
    """The named images, all where none is named. Raises LoopError for a name that is no image's."""
    for name in names:
        if name not in project.images:
            raise LoopError(f"the project has no image '{name}'", hint=suggestion(name, project.images))
    return names or tuple(project.images)
