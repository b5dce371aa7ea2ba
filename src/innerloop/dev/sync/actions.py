"""What follows a sync in one container: the actions whose files changed, in order, then the restart."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from innerloop.dev.gitignore import Patterns
from innerloop.dev.globs import parse_globs
from innerloop.dev.pods import PodContainer
from innerloop.dev.sync.connection import Answer
from innerloop.dev.sync.laptop import Changes, LaptopCommands
from innerloop.dev.sync.local_tree import FOLDER, Entry, Key
from innerloop.dev.sync.protocol import SignalResult
from innerloop.errors import LoopError
from innerloop.events import Emit, StepFailed, StepOutput, reported
from innerloop.kube.failures import CommandNotStarted
from innerloop.project import LINUX_SIGNALS, DevTarget, SyncAction

LAST_LINES = 20
"""So much of a failed command's output is shown."""

OnLine = Callable[[str], None]


class ActionFailed(LoopError):
    """An action did not do what it should; what comes after it waits for another try."""


class Process(Protocol):
    """The developed process, as far as there is a connection to its helper. Both raise LoopError."""

    async def restart(self) -> Answer | None:
        """Ask for a new process; returns the answer to come."""

    async def signal(self, number: int) -> SignalResult: ...


class Surroundings(NamedTuple):
    """What the actions of a container work with."""

    execute: Callable[[Sequence[str], OnLine], Awaitable[int]]
    """Runs a command in the container; returns its exit status. Raises LoopError."""
    laptop: LaptopCommands
    emit: Emit


def matching(patterns: Sequence[Patterns], changes: Changes) -> dict[int, dict[Key, Entry | None]]:
    """The actions that changes need, by number, each with the changes that its globs name. Folders do not count."""
    files = {key: entry for key, entry in changes.items() if entry is None or entry.kind != FOLDER}
    found = {
        number: {key: entry for key, entry in files.items() if globs.check(key.path, False)}
        for number, globs in enumerate(patterns)
    }
    return {number: needed for number, needed in found.items() if needed}


class ContainerActions:
    """The actions of a target in one of its containers.

    Taking changes never waits. One action runs at a time, in the order of the file; what is taken meanwhile runs when
    its turn comes, so an action never runs beside itself. The restart comes when no action is due any more. A failed
    action stays due, and with it what follows it, until the next change makes it be tried again.
    """

    def __init__(
        self,
        target: DevTarget,
        container: PodContainer,
        process: Process,
        surroundings: Surroundings,
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_idle`` is called when all that was due has been tried."""
        self.failure = ""
        """Why something is still due that was tried."""
        self._on_idle = on_idle
        self._target = target
        self._container = container
        self._process = process
        self._surroundings = surroundings
        self._patterns = [parse_globs(action.files) for action in target.actions]
        self._due: dict[int, dict[Key, Entry | None]] = {}
        self._restart = False
        self._restarted: Answer | None = None
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def take(self, changes: Changes, *, restart: bool) -> bool:
        """These arrived in the container; returns whether actions run before the restart."""
        for number, needed in matching(self._patterns, changes).items():
            self._due[number] = {**self._due.get(number, {}), **needed}
        self._restart = self._restart or restart
        if self._due or self._restart:
            self._wake.set()
            self._idle.clear()
        return bool(self._due)

    @property
    def is_idle(self) -> bool:
        """All that was due has been tried; a new process may still be about to start."""
        return self._idle.is_set()

    async def wait_idle(self) -> None:
        """Return when all that was due has been tried, and a new process started. Raises Disconnected."""
        await self._idle.wait()
        # an answer that was lost with its connection is told to who waited then, not to those who come after it
        if self._restarted and not self._restarted.done():
            await self._restarted

    async def run(self) -> None:
        """Run what is due, for as long as the container runs."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._catch_up()
            if not self._wake.is_set():
                self._idle.set()
                self._on_idle()

    async def _catch_up(self) -> None:
        """Run all that is due, then restart; the first failure leaves it and what comes after it due."""
        try:
            while self._due:
                number = min(self._due)
                changes = self._due.pop(number)
                try:
                    await self._act(number, self._target.actions[number], changes)
                except LoopError:
                    self._due[number] = {**changes, **self._due.get(number, {})}
                    raise
            if self._restart:
                self._restart = False
                try:
                    self._restarted = await self._process.restart()
                except LoopError:
                    # the connection broke; the next one brings it
                    self._restart = True
                    raise
            self.failure = ""
        except LoopError as error:
            self.failure = error.message
            return  # a failed action was told as a step, a broken connection by whoever keeps it

    async def _act(self, number: int, action: SyncAction, changes: Changes) -> None:
        if action.run is not None:
            command = action.run
            await self._surroundings.laptop.run(command, changes, self._container, lambda: self._run(number, command))
        elif action.exec:
            step, command = f"{self._target.name}/{self._container.pod}/{number}", shlex.join(action.exec)
            with self._step(step, f"{command} in {self._container.pod}") as on_line:
                await self._execute(action.exec, command, on_line)
        elif action.signal:
            step = f"{self._target.name}/{self._container.pod}/{number}"
            with self._step(step, f"signal {action.signal} to {self._container.pod}"):
                await self._signal(action.signal)

    async def _run(self, number: int, command: str) -> None:
        with self._step(f"{self._target.name}/{number}", command) as on_line:
            code = await self._surroundings.laptop.shell(command, on_line)
            self._check(command, "on this machine", code, on_line)

    async def _execute(self, argv: Sequence[str], command: str, on_line: Output) -> None:
        place = f"in {self._container.pod}/{self._container.container}"
        try:
            code = await self._surroundings.execute(argv, on_line)
        except CommandNotStarted as error:
            hint = f"the container needs {argv[0]}; a shell's words need one: [sh, -c, …]"
            raise ActionFailed(error.message, detail=error.detail, hint=hint) from error
        self._check(command, place, code, on_line)

    async def _signal(self, name: str) -> None:
        result = await self._process.signal(LINUX_SIGNALS[name])
        if result == SignalResult.NO_PROCESS:
            raise ActionFailed(
                f"there is no process to send {name} to: it ended",
                hint=f"a save that dev.{self._target.name}.restart names starts it, or loop restart",
            )
        if result == SignalResult.NO_SUPERVISOR:
            raise ActionFailed(
                f"the process cannot be sent {name}: the container was not started by the helper",
                hint=f"set dev.{self._target.name}.command and run loop dev again; pods of others keep their process",
            )

    def _check(self, command: str, place: str, code: int, output: Output) -> None:
        if code:
            message = f"{command} ended with status {code} {place}"
            raise ActionFailed(message, detail="\n".join(output.last) or None, hint=self._consequence())

    def _consequence(self) -> str:
        stays = "the process that runs stays; " if self._restart else ""
        return f"{stays}the next change tries again"

    @contextmanager
    def _step(self, name: str, title: str) -> Iterator[Output]:
        step, title = f"action/{name}", f"{self._target.name}: {title}"
        emit = self._surroundings.emit
        output = Output(emit, step)
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            with reported(emit, step, title):
                yield output
        except asyncio.CancelledError:
            # the container is gone, or the session ends: a step that never ends would stay in everyone's view
            emit(StepFailed(step=step, title=title, seconds=loop.time() - started, message="interrupted"))
            raise


class Output:
    """Tells a command's lines, and keeps the last ones."""

    def __init__(self, emit: Emit, step: str) -> None:
        self.last: list[str] = []
        self._emit = emit
        self._step = step

    def __call__(self, line: str) -> None:
        self.last = [*self.last[-LAST_LINES + 1 :], line]
        self._emit(StepOutput(step=self._step, text=line))
