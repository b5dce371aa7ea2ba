"""From a project and its dependencies to the steps that deploy them.

For each project: ``render`` and one ``build`` per image run together; ``compose`` puts the images and the dev overlay
into the rendered stream; ``apply`` waits for that and for the dependencies to be ready; ``ready`` follows. Steps of a
dependency carry its name in front: ``orders/apply``.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from innerloop.build.building import BuiltImage, build
from innerloop.build.choosing import Found
from innerloop.build.destination import Destination
from innerloop.build.tags import is_dockerfile_build, read_image_dockerfile
from innerloop.cluster.base_images import ensure
from innerloop.config.dependencies import Tree
from innerloop.deploy.applying import apply
from innerloop.deploy.readiness import wait_ready
from innerloop.dev.matching import fits_none
from innerloop.dev.overlay import overlay
from innerloop.engine import claims
from innerloop.engine.foreign import find_foreign
from innerloop.engine.graph import Output, Step, Values
from innerloop.engine.scope import Scope
from innerloop.engine.truces import Guard
from innerloop.engine.workloads import Workload
from innerloop.events import Notice, reported
from innerloop.hooks import Hooks
from innerloop.kube.errors import Forbidden
from innerloop.manifest import Manifest, ObjectKey
from innerloop.project import Dependency, DevTarget, ProjectReference
from innerloop.render.images import image_references, replace_images
from innerloop.render.rendering import render, render_source

READY_SECONDS = 300.0


class Composed(NamedTuple):
    """What is to be applied for one project: the rendered stream with the built images and the dev overlay."""

    inventory: str
    """The name under which it is recorded in the cluster."""
    namespace: str
    manifests: list[Manifest]
    images: dict[str, BuiltImage]
    foreign: tuple[DevTarget, ...] = ()
    """Developed targets whose pods no manifest of the project makes."""


class Deployed(NamedTuple):
    """What was applied for one project."""

    manifests: list[Manifest]
    keys: tuple[ObjectKey, ...]
    foreign: tuple[Workload, ...] = ()
    """Developed pods of someone else."""


class Plan(NamedTuple):
    """How a tree is to be deployed."""

    scope: Scope
    destination: Destination
    nodes: tuple[Mapping[str, str], ...] = ()
    """Labels of each node that runs Linux; none where nobody may look at them."""
    develop: tuple[DevTarget, ...] = ()
    """Targets of the root project that get the dev overlay; none for a plain deployment."""
    on_applied: Callable[[Deployed], None] = lambda deployed: None
    """Told as soon as the root project's objects are applied, before they are ready."""
    base_registry: str = ""
    """``host:port`` of the registry that gets base images where the real ones can't be had; empty: none does."""
    take_over: bool = False
    """Go on with the inventory of another project of the same name."""
    force: bool = False
    """Take over fields that other managers applied."""
    found: Found | None = None
    """What builds, as it was just found; None: each build looks for itself."""
    guard: Guard | None = None
    """Has GitOps agents leave alone what is applied; None: nobody does."""


class _Unit(NamedTuple):
    """What one inventory is for: a project, or someone else's chart or manifests."""

    name: str
    """The inventory's."""
    title: str
    prefix: str
    namespace: str
    folder: Path
    render: Callable[[], Awaitable[list[Manifest]]]
    hooks: Hooks
    targets: Mapping[str, DevTarget]
    """All dev targets that there are."""
    develop: tuple[DevTarget, ...] = ()

    def step(self, name: str) -> str:
        return self.prefix + name


def plan_steps(tree: Tree, plan: Plan) -> list[Step]:
    """All steps of a project and of its dependencies, each dependency once."""
    steps: dict[str, Step] = {}
    _add_project(steps, tree, plan, prefix="")
    return list(steps.values())


def _add_project(steps: dict[str, Step], tree: Tree, plan: Plan, *, prefix: str) -> str:
    """Add a project's steps behind its dependencies'; returns the name of the step that tells it is ready."""
    project = tree.project
    if f"{prefix}ready" in steps:
        return f"{prefix}ready"
    before = [_add_dependency(steps, tree, name, plan, prefix) for name in tree.dependencies]
    unit = _Unit(
        name=project.name,
        title=project.name,
        prefix=prefix,
        namespace=project.namespace,
        folder=project.folder,
        render=partial(render, project, namespace=project.namespace, plugins=tree.plugins),
        hooks=Hooks(project, tree.plugins, plan.scope),
        targets=project.dev,
        develop=() if prefix else plan.develop,
    )
    values = {name: variable.value for name, variable in project.variables.items()}
    _add(steps, unit, plan, before, spec=(project.manifests, values, project.hooks), builds=_builds(tree, unit, plan))
    return unit.step("ready")


def _add_dependency(steps: dict[str, Step], tree: Tree, name: str, plan: Plan, prefix: str) -> str:
    dependency = tree.dependencies[name]
    if isinstance(dependency, Tree):
        return _add_project(steps, dependency, plan, prefix=f"{dependency.project.name}/")
    unit = _foreign_unit(tree, dependency, plan, prefix)
    _add(steps, unit, plan, [], spec=(dependency, unit.namespace), builds=[])
    return unit.step("ready")


def _foreign_unit(tree: Tree, dependency: Dependency, plan: Plan, prefix: str) -> _Unit:
    project, source = tree.project, dependency.source
    assert not isinstance(source, ProjectReference), "another project is a tree of its own"
    namespace = dependency.namespace or project.namespace
    return _Unit(
        name=inventory_name(tree, dependency),
        title=dependency.name,
        prefix=f"{prefix}{dependency.name}/",
        namespace=namespace,
        folder=project.folder,
        render=partial(render_source, source, project, namespace=namespace, plugins=tree.plugins),
        hooks=Hooks(None, tree.plugins, plan.scope),
        targets={},
    )


def inventory_name(tree: Tree, dependency: Dependency) -> str:
    """Under which name a project's foreign dependency is recorded in the cluster."""
    return f"{tree.project.name}.{dependency.name}"


def _add(
    steps: dict[str, Step], unit: _Unit, plan: Plan, before: list[str], *, spec: object, builds: list[Step]
) -> None:
    render, compose, apply, ready = (unit.step(name) for name in ("render", "compose", "apply", "ready"))
    overlaid = [msgspec.structs.replace(target, sync=(), ports=(), open=None) for target in unit.develop]
    own = [
        Step(render, (), spec, partial(_render, unit, plan)),
        *builds,
        Step(compose, (render, *(step.name for step in builds)), overlaid, partial(_compose, unit, plan)),
        Step(apply, (compose, *before), None, partial(_apply, unit, plan)),
        Step(ready, (apply,), None, partial(_ready, unit, plan)),
    ]
    steps.update((step.name, step) for step in own)


def _builds(tree: Tree, unit: _Unit, plan: Plan) -> list[Step]:
    """A step per image, between the hooks around building."""
    project = tree.project
    if not project.images:
        return []
    steps: list[Step] = []
    before = unit.step("before-build")
    if unit.hooks.has("before-build"):
        steps.append(Step(before, (), project.hooks, partial(_hook, unit, "before-build")))
    if plan.base_registry:
        steps.append(Step(unit.step("base-images"), (), project.images, partial(_base_images, tree, plan)))
    gate = tuple(step.name for step in steps)

    async def build_image(name: str, values: Values) -> Output:
        image, step = project.images[name], unit.step(f"build/{name}")
        built = await build(
            image,
            plan.destination,
            plan.scope.emit,
            step=step,
            project=project,
            plugins=tree.plugins,
            found=plan.found,
        )
        return Output(built, built.reference)

    for name, image in project.images.items():
        steps.append(Step(unit.step(f"build/{name}"), gate, image, partial(build_image, name)))
    if unit.hooks.has("after-build"):
        every = tuple(step.name for step in steps)
        steps.append(Step(unit.step("after-build"), every, project.hooks, partial(_hook, unit, "after-build")))
    return steps


async def _render(unit: _Unit, plan: Plan, values: Values) -> Output:
    await unit.hooks.run("before-render")
    with reported(plan.scope.emit, unit.step("render"), f"render {unit.title}") as outcome:
        manifests = await unit.hooks.after_render(await unit.render())
        outcome.summary = f"{len(manifests)} object{'s' * (len(manifests) != 1)}"
    return Output(manifests, digest_of(manifests))


async def _base_images(tree: Tree, plan: Plan, values: Values) -> Output:
    images = tree.project.images.values()
    bases = [base for image in images if is_dockerfile_build(image) for base in read_image_dockerfile(image).bases]
    await ensure(bases, plan.base_registry, plan.scope.emit)
    return Output(None, "")


async def _hook(unit: _Unit, point: str, values: Values) -> Output:
    await unit.hooks.run(point, images=_built(values))
    return Output(None, "")


async def _compose(unit: _Unit, plan: Plan, values: Values) -> Output:
    images = _built(values)
    references = {image.repository: image.reference for image in images.values()}
    manifests = replace_images(values[unit.step("render")], references)
    foreign = tuple(target for target in unit.develop if fits_none(manifests, target))
    elsewhere = await _developed_elsewhere(unit, plan.scope)
    develop = [target for target in (*unit.develop, *elsewhere) if not fits_none(manifests, target)]
    if develop:
        manifests = overlay(manifests, develop, images, nodes=plan.nodes, project=unit.name)
    if plan.base_registry:
        await ensure({use.reference for use in image_references(manifests)}, plan.base_registry, plan.scope.emit)
    selectors = [(target.name, target.selector, target.container) for target in foreign]
    composed = Composed(unit.name, unit.namespace, manifests, images, foreign)
    return Output(composed, digest_of(manifests) + (str(selectors) if selectors else ""))


async def _developed_elsewhere(unit: _Unit, scope: Scope) -> list[DevTarget]:
    """Targets of other sessions: without the overlay, their containers would be replaced under them."""
    others = set(unit.targets) - {target.name for target in unit.develop}
    if not others:
        return []
    try:
        held = await claims.held(scope.client, unit.name, unit.namespace)
    except Forbidden:
        return []
    found = sorted(others & set(held))
    if not unit.develop:
        for name in found:
            message = f"{name} stays in development, by {claims.holder_of(held[name])}"
            scope.emit(Notice(level="info", message=message))
    return [unit.targets[name] for name in found]


async def _apply(unit: _Unit, plan: Plan, values: Values) -> Output:
    composed: Composed = values[unit.step("compose")]
    manifests, images = composed.manifests, composed.images
    foreign = [await find_foreign(plan.scope.client, one, unit.namespace, manifests) for one in composed.foreign]
    await unit.hooks.run("before-deploy", images=images, manifests=manifests)
    over = await plan.guard.before_apply(manifests, unit.namespace) if plan.guard else frozenset[str]()
    applied = await apply(
        plan.scope.client,
        manifests,
        project=unit.name,
        namespace=unit.namespace,
        emit=plan.scope.emit,
        step=unit.step("apply"),
        folder=unit.folder,
        take_over=plan.take_over,
        force=plan.force,
        over=over,
    )
    deployed = Deployed(manifests, applied.keys, tuple(foreign))
    if not unit.prefix:
        plan.on_applied(deployed)
    # what was made anew from the same manifests has to become ready too
    made = time.monotonic_ns() if applied.created or applied.changed else ""
    return Output(deployed, f"{digest_of(manifests)}{made}")


async def _ready(unit: _Unit, plan: Plan, values: Values) -> Output:
    deployed: Deployed = values[unit.step("apply")]
    await wait_ready(plan.scope.client, deployed.keys, emit=plan.scope.emit, timeout=READY_SECONDS)
    if plan.guard:
        await plan.guard.ready()
    await unit.hooks.run("after-deploy", manifests=deployed.manifests)
    return Output(None, "")


def digest_of(manifests: Iterable[Manifest]) -> str:
    """Content hash of a stream of manifests."""
    objects = [manifest.object for manifest in manifests]
    return hashlib.sha256(msgspec.json.encode(objects, order="sorted")).hexdigest()


def _built(values: Values) -> dict[str, BuiltImage]:
    return {value.name: value for value in values.values() if isinstance(value, BuiltImage)}
