"""What ``loop deploy`` would change in the cluster, without building, applying or changing anything."""

from __future__ import annotations

from functools import partial

from innerloop.build.building import foresee as foresee_image
from innerloop.config.dependencies import Tree
from innerloop.deploy.foreseeing import foresee
from innerloop.engine.connecting import connected
from innerloop.engine.deploying import dependants_first, make_plan
from innerloop.engine.graph import Graph, Output, Step, Values
from innerloop.engine.steps import Composed, Plan, plan_steps
from innerloop.events import Emit, Notice
from innerloop.gitops.differences.comparing import Comparison
from innerloop.gitops.differences.differences import compare
from innerloop.project import Image


async def against_cluster(tree: Tree, emit: Emit) -> list[Comparison]:
    """A project's and its dependencies' objects in the cluster, against the manifests that would be applied.

    A Notice tells what an apply would be refused for. Raises LoopError.
    """
    async with connected(tree.project, emit) as scope:
        # base images are not brought either
        plan = (await make_plan(tree, scope))._replace(base_registry="")
        steps = _without_building(plan_steps(tree, plan), tree, plan)
        graph = Graph()
        await graph.run(steps)
        values = [graph.value(step.name) for step in steps]
        return [await _compared(one, plan) for one in values if isinstance(one, Composed)]


async def _compared(composed: Composed, plan: Plan) -> Comparison:
    scope = plan.scope
    foreseen = await foresee(scope.client, composed.manifests, project=composed.inventory, namespace=composed.namespace)
    for error in foreseen.refused:
        detail = error.detail or ""
        scope.emit(
            Notice(level="warning", message=f"it would be refused: {error}", detail=detail, hint=error.hint or "")
        )
    return Comparison(
        name=composed.inventory,
        against=f"namespace {composed.namespace} on {scope.context}",
        differences=tuple(compare(foreseen.before, foreseen.after)),
    )


def _without_building(steps: list[Step], tree: Tree, plan: Plan) -> list[Step]:
    """The steps that render and compose; those that build only tell what they would build."""
    kept = []
    for step in steps:
        if isinstance(step.spec, Image):
            kept.append(step._replace(run=partial(_foreseen, step.spec, tree, plan)))
        elif step.name.rpartition("/")[2] in ("render", "compose"):
            kept.append(step)
    here = {step.name for step in kept}
    return [step._replace(needs=tuple(need for need in step.needs if need in here)) for step in kept]


async def _foreseen(image: Image, tree: Tree, plan: Plan, values: Values) -> Output:
    [owner] = [one for one in dependants_first(tree) if one.project.images.get(image.name) is image]
    emit = plan.scope.emit
    found = await foresee_image(
        image, plan.destination, emit, project=owner.project, plugins=owner.plugins, found=plan.found
    )
    if not found.cached:
        emit(Notice(level="info", message=f"image {image.name} would be built: {found.tag}"))
    return Output(found, found.reference)
