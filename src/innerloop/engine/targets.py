"""The dev targets that a user means, and the services that keep them in step."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from innerloop.build.dockerignore import ignore_file, read_ignore
from innerloop.config.problems import suggestion
from innerloop.dev.following import follow_logs
from innerloop.dev.forwarding import forward
from innerloop.dev.ignoring import Predicate
from innerloop.dev.restarts import Restarts
from innerloop.dev.sync.laptop import Laptop
from innerloop.dev.sync.local_files import LocalFiles
from innerloop.dev.sync.state import SyncState
from innerloop.dev.sync.syncing import sync
from innerloop.engine.guarding import guard
from innerloop.engine.reach import built_files
from innerloop.engine.scope import Scope
from innerloop.engine.services import Service
from innerloop.engine.workloads import Workload
from innerloop.errors import LoopError
from innerloop.events import Emit
from innerloop.project import DevTarget, Project


def choose(project: Project, services: Iterable[str]) -> tuple[DevTarget, ...]:
    """The project's dev targets of these names, all where none is named. Raises LoopError for an unknown one."""
    names = list(dict.fromkeys(services)) or list(project.dev)
    for name in names:
        if name not in project.dev:
            raise LoopError(
                f"{project.name} has no dev target '{name}'",
                where=project.where("dev"),
                hint=suggestion(name, project.dev),
            )
    return tuple(project.dev[name] for name in names)


def target_services(
    project: Project,
    targets: Iterable[DevTarget],
    files: Mapping[str, LocalFiles],
    found: Iterable[Workload],
    scope: Scope,
    since: str,
    restarts: Restarts,
) -> tuple[list[Service], list[SyncState]]:
    """What has to run for the targets and workloads, and the states of the syncs among it.

    Logs of every workload, beginning at ``since`` (RFC 3339); sync and forwards of the developed ones, and a guard.
    ``files`` are those of the ``synced`` ones among the targets, ``restarts`` tells of those of this session.
    """
    every, targets = list(found), list(targets)
    services = [_logs(one, scope, since) for one in every]
    names = {target.name for target in targets}
    services += [_guard(one, scope) for one in every if names & set(one.targets) and not one.foreign]
    states: list[SyncState] = []
    for target in targets:
        of_target = [one for one in every if target.name in one.targets]
        if target.name in files:
            for one in of_target:
                states.append(SyncState())
                services.append(sync_service(project, target, files[target.name], one, scope, states[-1]))
        if target.ports and of_target:
            services.append(_forward(target, of_target[0], scope, restarts))
    return services, states


def _logs(one: Workload, scope: Scope, since: str) -> Service:
    run = partial(
        follow_logs,
        scope.client,
        service=one.service,
        namespace=one.key.namespace,
        selector=one.selector,
        emit=scope.emit,
        since=since,
    )
    return Service(f"logs/{one.service}", one._replace(targets=()), run)


def _guard(one: Workload, scope: Scope) -> Service:
    return Service(f"guard/{one.service}", one, partial(guard, scope.client, one, scope.emit))


def synced(targets: Iterable[DevTarget]) -> list[DevTarget]:
    """Those whose containers a sync has to follow, be it for the restarts alone."""
    return [target for target in targets if target.sync or target.restart]


def local_files(project: Project, target: DevTarget, emit: Emit) -> LocalFiles:
    """What a target's sync carries; somebody has to run it."""
    left_out, built = _left_out_of_image(project, target), _built_into_image(project, target)
    return LocalFiles(target, emit, left_out=left_out, built=built)


def sync_service(
    project: Project, target: DevTarget, files: LocalFiles, one: Workload, scope: Scope, state: SyncState
) -> Service:
    """What keeps a target's containers in one workload in sync."""
    run = partial(
        sync,
        scope.client,
        target,
        files,
        namespace=one.key.namespace,
        selector=one.selector,
        emit=scope.emit,
        state=state,
        laptop=Laptop(project.folder, scope.variables),
        foreign=one.foreign,
    )
    spec = (files, target.restart, target.actions, one)
    return Service(f"sync/{target.name}/{one.service}", spec, run)


def _forward(target: DevTarget, one: Workload, scope: Scope, restarts: Restarts) -> Service:
    run = partial(
        forward,
        scope.client,
        service=target.name,
        namespace=one.key.namespace,
        selector=one.selector,
        ports=target.ports,
        emit=scope.emit,
        restarts=restarts,
    )
    return Service(f"forward/{target.name}", (target.ports, one), run)


def _built_into_image(project: Project, target: DevTarget) -> Callable[[str], bool] | None:
    image = project.images.get(target.image or "")
    return built_files(image, target) if image and target.rebuild else None


def _left_out_of_image(project: Project, target: DevTarget) -> Predicate | None:
    """What the image's .dockerignore leaves out: a container that is built without it does not get it by sync."""
    image = project.images.get(target.image or "")
    file = ignore_file(image.context, image.dockerfile) if image else None
    if image is None or file is None:
        return None
    context, rules = os.path.join(image.context, ""), read_ignore(file)

    def leaves_out(path: str, is_folder: bool) -> bool:
        if not path.startswith(context):
            return False
        name = path[len(context) :]
        # below a folder that is left out, an exception (`!name`) may count again
        return rules.excludes(name) and not (is_folder and rules.may_count_below(name))

    return leaves_out
