"""The options that commands on a project share, and the project that they name."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from innerloop.cli import completing

if TYPE_CHECKING:
    from innerloop.config.dependencies import Tree
    from innerloop.config.loading import Options
    from innerloop.events import Emit
    from innerloop.kube.config import KubeConfig
    from innerloop.project import Project

F = TypeVar("F", bound=Callable[..., Any])


class ProjectOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says; empty is what it does not say."""

    context: str = ""
    namespace: str = ""
    file: Path | None = None
    env: str | None = None
    profiles: tuple[str, ...] = ()
    set: dict[str, str] = {}


def project_options(function: F) -> F:
    """Decorator of a command: adds the options and hands them to it as ``options: ProjectOptions``."""
    return _decorated(function, _ENVIRONMENT)


def several_environments(function: F) -> F:
    """As ``project_options``; the command gets ``environments: tuple[str, ...]``, and none in the ``options``."""
    return _decorated(function, _ENVIRONMENTS)


def one_environment(function: F) -> F:
    """As ``project_options``; the environment is an argument that has to be there: the command gets ``environment``."""
    return _decorated(function, _ENVIRONMENT_ARGUMENT)


def _decorated(function: F, environment: Callable[[F], F]) -> F:
    @functools.wraps(function)
    def command(
        *arguments: Any,
        context: str,
        namespace: str,
        file: Path | None,
        profile: tuple[str, ...],
        set_: tuple[tuple[str, str], ...],
        env: str | None = None,
        **others: Any,
    ) -> Any:
        options = ProjectOptions(
            context=context, namespace=namespace, file=file, env=env, profiles=profile, set=dict(set_)
        )
        return function(*arguments, options=options, **others)

    decorated: Any = command
    for option in reversed((*_PLACE, environment, *_VALUES)):
        decorated = option(decorated)
    wrapped: F = decorated
    return wrapped


output_option = click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", help="json: for programs"
)
"""``-o json``; the command gets ``output``."""


take_over_option = click.option(
    "--take-over", is_flag=True, help="go on with the deployment of another folder's project of the same name"
)
"""``--take-over``; the command gets ``take_over``."""

force_option = click.option("--force", is_flag=True, help="take over fields that other managers applied")
"""``--force``; the command gets ``force``."""


def load_project(options: ProjectOptions) -> Project:
    """The project of this folder (or ``-f``), with the context and namespace that count."""
    from innerloop.config import loading

    return loading.load(*locate(options))


def load_environment(options: ProjectOptions, name: str) -> Project:
    """The project as it is in an environment, the same on every machine.

    Neither the kubeconfig, nor choices, nor ``LOOP_CONTEXT`` and ``LOOP_NAMESPACE`` count: ``--context`` and ``-n`` do.
    """
    from innerloop.config import loading

    given = loading.Options(
        profiles=options.profiles,
        set=options.set,
        context=options.context,
        namespace=options.namespace,
        fallback_namespace="",
        env=name,
    )
    return loading.load(loading.find(options.file, Path.cwd()), given)


def with_context(project: Project) -> Project:
    """An environment's project with the context that counts here, to look at what it became in the cluster."""
    context = project.context or current_context(project.folder, kube_config())
    return msgspec.structs.replace(project, context=context)


def environments_of(options: ProjectOptions) -> tuple[str, ...]:
    """Names of the project's environments, also where the laptop has no values for its variables."""
    from innerloop.config import loading

    return loading.environment_names(loading.find(options.file, Path.cwd()))


async def load_tree(options: ProjectOptions, emit: Emit) -> Tree:
    """The project with its plugins and dependencies; repositories are fetched as far as needed."""
    from innerloop.config import dependencies, loading

    file, loaded = locate(options)
    return await dependencies.resolve(loading.load(file, loaded), loaded, emit)


def locate(options: ProjectOptions) -> tuple[Path, Options]:
    """The project's file, and what to load it with: choices and kubeconfig stand in for what was not said."""
    from innerloop.config import choices, loading

    file = loading.find(options.file, Path.cwd())
    config = kube_config()
    context = options.context or current_context(file.parent, config)
    fallback = choices.read(file.parent).namespace
    if not fallback:
        entry = config.contexts.get(context)
        fallback = (entry.namespace if entry else "") or "default"
    return file, loading.Options(
        profiles=options.profiles,
        set=options.set,
        context=context,
        namespace=options.namespace or os.environ.get("LOOP_NAMESPACE", ""),
        fallback_namespace=fallback,
        env=options.env,
    )


def kube_config() -> KubeConfig:
    """The user's kubeconfig and, weaker, those of the built-in clusters."""
    from innerloop import cluster
    from innerloop.kube import config

    return config.load(extra=cluster.kubeconfigs())


def current_context(folder: Path, config: KubeConfig) -> str:
    """The context that counts for the project in ``folder`` when no option names one; empty when there is none."""
    from innerloop.config import choices

    return os.environ.get("LOOP_CONTEXT") or choices.read(folder).context or config.current


class _Assignment(click.ParamType[tuple[str, str]]):
    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, text = str(value).partition("=")
        if not name or not equals:
            self.fail(f"'{value}' is not NAME=VALUE", param, ctx)
        return name, text


_PLACE = (
    click.option(
        "--context",
        default="",
        metavar="NAME",
        help="context of the kubeconfig",
        shell_complete=completing.contexts,
    ),
    click.option("-n", "--namespace", default="", metavar="NAME", help="namespace in the cluster"),
    click.option(
        "-f", "--file", type=click.Path(path_type=Path), help="loop.yaml, or its folder; found upwards otherwise"
    ),
)
_ENVIRONMENT = click.option(
    "--env",
    metavar="NAME",
    help="an environment of the project, with its variables instead of .env",
    shell_complete=completing.environments,
)
_ENVIRONMENTS = click.option(
    "--env",
    "environments",
    multiple=True,
    metavar="NAME",
    help="an environment of the project (repeatable)",
    shell_complete=completing.environments,
)
_ENVIRONMENT_ARGUMENT = click.argument("environment", metavar="ENV", shell_complete=completing.environments)
_VALUES = (
    click.option("--profile", multiple=True, metavar="NAME", help="activate a profile (repeatable)"),
    click.option("--set", "set_", multiple=True, type=_Assignment(), help="give a variable a value (repeatable)"),
)
