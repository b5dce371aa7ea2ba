"""The command ``loop``: finds the command's module, runs it, maps the result to an exit code.

Exit codes: 0 done, 1 the user's to mend, 2 usage, 3 our bug (with a crash file), 130 interrupted.
Command modules are imported only when they are called, so help and completion stay fast.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys

import click

from innerloop import __version__
from innerloop.errors import LoopError

COMMANDS = {
    "build": "build the images that changed",
    "cluster": "a throw-away local Kubernetes: up, down, status, load",
    "config": "show the configuration as it is understood, and where values come from",
    "deploy": "render, build, apply and wait until ready",
    "dev": "develop: deploy, then sync, restart, forward and follow logs until ^C",
    "diff": "what a deployment or a promotion would change",
    "doctor": "what this machine, cluster and project lack, and the command that mends it",
    "enter": "open a terminal in a service's container",
    "exec": "run a command in a service's container",
    "forward": "forward a service's ports to this machine",
    "harvest": "turn what was changed live into a patch of the templates",
    "init": "write pipelines for a CI system",
    "logs": "follow the logs of the project's services",
    "promote": "open the pull request that brings an environment up to date",
    "purge": "remove everything that the project deployed",
    "render": "print the low-level manifests",
    "restart": "restart a service's process",
    "rollback": "open the pull request that takes an environment back",
    "run": "run a command of the project",
    "status": "what is deployed, ready, forwarded, synced, and by whom",
    "sync": "keep what is deployed the same as the files, without deploying",
    "use": "choose the context or namespace of this project",
}
"""Name to help line. The module ``innerloop.cli.NAME`` has the click command ``command``."""


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Failures of a disk that takes nothing more."""


class LazyGroup(click.Group):
    """A group whose commands' modules are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"innerloop.cli.{name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            import difflib

            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"No such command '{name}'.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="loop")
def root() -> None:
    """From source to running on Kubernetes, in step with every save."""


def main() -> None:
    """Entry point of the console script."""
    _open_standard_streams()
    code = run(sys.argv[1:])
    # a last search for garbage would take longer than a short command: what is left goes with the process
    gc.freeze()
    sys.exit(code)


def _open_standard_streams() -> None:
    """Have all three of them, whoever started us without: else a file or connection of ours would get their numbers."""
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    # the lowest free number each; the last one is not of the three
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0, closefd=False)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)
    sys.stderr = sys.stderr or open(2, "w", closefd=False)


def run(arguments: list[str]) -> int:
    """Run one command line; returns its exit code. The one place where errors become text."""
    try:
        result = root.main(arguments, prog_name="loop", standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    except LoopError as error:
        if not error.told:
            show_error(error)
        return 1
    except OSError as error:
        if (found := _failure_of_disk(error)) is None:
            return crashed(error, arguments)
        show_error(found)
        return 1
    except Exception as error:
        return crashed(error, arguments)
    return result if isinstance(result, int) else 0


def _failure_of_disk(error: OSError) -> LoopError | None:
    """What the user can mend and we cannot, wherever it strikes; None for our own faults."""
    what = f" {error.filename}" if error.filename else ""
    if error.errno in NO_ROOM:
        return LoopError(f"cannot write{what}: {error.strerror}", hint="make room on the disk")
    if isinstance(error, PermissionError) and what:
        return LoopError(f"no access to{what}: {error.strerror}", hint="mend its rights, or run loop as its owner")
    if isinstance(error, FileNotFoundError) and not _has_working_directory():
        return LoopError("the working directory is gone", hint="change to one that is there")
    return None


def _has_working_directory() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def crashed(error: Exception, arguments: list[str]) -> int:
    """Tell that the fault is ours; returns the exit code."""
    from innerloop.cli.crash import report_crash

    report_crash(error, arguments)
    return 3


def show_error(error: LoopError) -> None:
    """Write an error to stderr: what and where, why, what to do."""
    lines = [click.style("error: ", fg="red", bold=True) + str(error)]
    if error.detail:
        lines += [f"  {line}" for line in error.detail.splitlines()]
    if error.hint:
        lines += [click.style("hint: ", fg="cyan") + error.hint]
    click.echo("\n".join(lines), err=True)
