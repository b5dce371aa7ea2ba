"""What ``loop dev`` applies, without applying it."""

from __future__ import annotations

from innerloop.config.dependencies import Tree
from innerloop.engine.connecting import connected
from innerloop.engine.deploying import make_plan
from innerloop.engine.graph import Graph, upto
from innerloop.engine.steps import Composed, plan_steps
from innerloop.engine.targets import choose
from innerloop.events import Emit
from innerloop.manifest import Manifest


async def dev_manifests(tree: Tree, emit: Emit) -> list[Manifest]:
    """The root project's stream with the built images and the dev overlay; images are built if need be."""
    async with connected(tree.project, emit) as scope:
        plan = (await make_plan(tree, scope))._replace(develop=choose(tree.project, ()))
        graph = Graph()
        await graph.run(upto(plan_steps(tree, plan), {"compose"}))
        composed: Composed = graph.value("compose")
        return composed.manifests
