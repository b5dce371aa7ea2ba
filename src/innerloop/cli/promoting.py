"""What ``loop promote`` and ``loop rollback`` share: the environment, and what the user has to consent to."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from innerloop.cli.options import ProjectOptions

if TYPE_CHECKING:
    from innerloop.gitops.promotion.planning import Allowed
    from innerloop.project import Project

F = TypeVar("F", bound=Callable[..., Any])


def consents(function: F) -> F:
    """Decorator of a command: adds the options by which the user consents, and hands it ``allowed`` and ``yes``."""

    @functools.wraps(function)
    def command(*arguments: Any, allow_empty: bool, overwrite_edits: bool, **others: Any) -> Any:
        from innerloop.gitops.promotion.planning import Allowed

        over_rollback, take_over = (bool(others.pop(name, False)) for name in ("over_rollback", "take_over"))
        allowed = Allowed(allow_empty, over_rollback, overwrite_edits, take_over)
        return function(*arguments, allowed=allowed, **others)

    decorated: Any = command
    for option in reversed(_CONSENTS):
        decorated = option(decorated)
    wrapped: F = decorated
    return wrapped


def environment_of(options: ProjectOptions, name: str, file: Path | None) -> Project:
    """The project as it is in an environment; by another file where one is given."""
    from innerloop.cli.options import load_environment
    from innerloop.config.loading import UnknownEnvironment

    try:
        return load_environment(msgspec.structs.replace(options, file=file or options.file), name)
    except UnknownEnvironment as error:
        error.detail = (
            "If it was taken out of loop.yaml, its folder is still in the GitOps repository, and runs. A pull request\n"
            "there that removes the folder (git rm -r) takes it down."
        )
        raise


def with_consent(work: Callable[[Allowed], object], allowed: Allowed, *, yes: bool) -> None:
    """Do it; where it would remove everything, ask the user on a terminal, and do it again with their consent.

    ``yes`` answers no such question: in a pipeline it would always be given.
    """
    from innerloop.cli.picking import interactive
    from innerloop.gitops.promotion.promotion import WouldBeEmpty

    try:
        work(allowed)
    except WouldBeEmpty as error:
        if yes or not interactive():
            raise
        click.echo(f"{error.message}: {error.detail}", err=True)
        if not click.confirm("Open the pull request that does so?", err=True):
            raise click.Abort from error
        work(allowed._replace(empty=True))


_CONSENTS = (
    click.option("--yes", is_flag=True, help="ask nothing"),
    click.option("--allow-empty", is_flag=True, help="though no object would be left"),
    click.option("--overwrite-edits", is_flag=True, help="drop what was changed by hand in the GitOps repository"),
)
