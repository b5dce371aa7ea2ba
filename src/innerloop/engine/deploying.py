"""Deploy once, and remove again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

from innerloop.build.choosing import Found, find_builder
from innerloop.build.destination import destination
from innerloop.build.tags import is_dockerfile_build
from innerloop.config.dependencies import Tree
from innerloop.deploy import inventory
from innerloop.deploy.purging import purge as purge_inventory
from innerloop.engine.connecting import connected
from innerloop.engine.graph import Graph
from innerloop.engine.scope import Scope
from innerloop.engine.steps import Plan, inventory_name, plan_steps
from innerloop.engine.truces import deployment_guard, end_deployment, end_over
from innerloop.errors import LoopError, single_failure
from innerloop.events import Emit
from innerloop.hooks import Hooks
from innerloop.kube import objects
from innerloop.kube.errors import Forbidden

Loader = Callable[[Emit], Awaitable[Tree]]
"""Reads the project and its dependencies from their files."""


async def deploy(load: Loader, emit: Emit, *, take_over: bool = False, force: bool = False) -> None:
    """Bring a project and its dependencies up to date, until all is ready. Raises LoopError."""
    tree = await load(emit)
    async with connected(tree.project, emit) as scope:
        await end_over(scope, tree.project)
        plan = await make_plan(tree, scope, take_over=take_over, force=force)
        guard = await deployment_guard(scope, tree.project, force=force)
        try:
            await Graph().run(plan_steps(tree, plan._replace(guard=guard)))
        finally:
            await guard.outlive()


async def purge(load: Loader, emit: Emit, *, take_over: bool = False) -> None:
    """Remove what a project and its dependencies deployed, dependants first, and wait until it is gone."""
    tree = await load(emit)
    async with connected(tree.project, emit) as scope:
        await end_over(scope, tree.project)
        await purge_tree(tree, scope, take_over=take_over)


async def purge_tree(tree: Tree, scope: Scope, *, take_over: bool = False) -> None:
    """Remove every inventory of the tree; the root project's hooks run around it."""
    hooks = Hooks(tree.project, tree.plugins, scope)
    await hooks.run("before-purge")
    await end_deployment(scope, tree.project)
    for name, namespace, folder in _inventories(tree):
        await purge_inventory(
            scope.client, project=name, namespace=namespace, emit=scope.emit, folder=folder, take_over=take_over
        )
    await hooks.run("after-purge")


async def make_plan(tree: Tree, scope: Scope, *, take_over: bool = False, force: bool = False) -> Plan:
    """How to deploy to the scope's cluster: where images go, on which nodes they run, and what builds them.

    Raises LoopError where an apply would be refused: no rights, or another project of the same name is there.
    """
    try:
        async with asyncio.TaskGroup() as group:
            images = group.create_task(destination(scope.client, scope.context), name="image destination")
            nodes = group.create_task(_nodes(scope), name="nodes")
            found = group.create_task(_builder(tree), name="builder")
            for name, namespace, folder in _inventories(tree):
                check = inventory.check(scope.client, name, namespace, folder, take_over=take_over)
                group.create_task(check, name=f"check {name}")
    except BaseExceptionGroup as failures:
        raise single_failure(failures) from None
    where = images.result()
    return Plan(
        scope=scope,
        destination=where,
        nodes=nodes.result(),
        base_registry=where.mirror.host if where.mirror else "",
        take_over=take_over,
        force=force,
        found=found.result(),
    )


async def _builder(tree: Tree) -> Found | None:
    """What builds, asked early since it takes longest; None where each build has to find out, or to tell what lacks."""
    every = dependants_first(tree)
    # a hook may pull images, or start what builds
    if any(one.project.hooks or one.plugins.hooks for one in every):
        return None
    if not any(is_dockerfile_build(image) for one in every for image in one.project.images.values()):
        return None
    with contextlib.suppress(LoopError):
        return await find_builder(None)
    return None


async def _nodes(scope: Scope) -> tuple[Mapping[str, str], ...]:
    """Labels of the nodes that run Linux."""
    try:
        nodes, _ = await objects.list_all(scope.client, "v1", "Node", namespace=None)
    except Forbidden:
        # nodes are none of a namespace user's business
        return ()
    labels = [node["metadata"].get("labels") or {} for node in nodes]
    return tuple(one for one in labels if one.get("kubernetes.io/os", "linux") == "linux")


def _inventories(tree: Tree) -> Iterator[tuple[str, str, Path]]:
    """Name, namespace and folder of each inventory, dependants before what they depend on, each once."""
    seen: set[str] = set()
    for one in dependants_first(tree):
        project = one.project
        names = [(project.name, project.namespace)]
        names += [
            (inventory_name(one, dependency), dependency.namespace or project.namespace)
            for dependency in one.dependencies.values()
            if not isinstance(dependency, Tree)
        ]
        for name, namespace in names:
            if name not in seen:
                seen.add(name)
                yield name, namespace, project.folder


def dependants_first(tree: Tree) -> list[Tree]:
    """The tree and all trees below it, each behind everything that depends on it."""
    order: dict[str, Tree] = {}

    def visit(one: Tree) -> None:
        if one.project.name in order:
            return
        for dependency in one.dependencies.values():
            if isinstance(dependency, Tree):
                visit(dependency)
        order[one.project.name] = one

    visit(tree)
    return list(reversed(order.values()))
