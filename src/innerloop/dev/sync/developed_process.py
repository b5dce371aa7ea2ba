"""The developed process of one container: new starts, signals, and what its helper tells of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from innerloop.dev.pods import PodContainer
from innerloop.dev.sync.connection import Answer, Connection, Disconnected
from innerloop.dev.sync.protocol import ProcessCode, Restarted, RestartResult, SignalResult, State
from innerloop.errors import LoopError
from innerloop.events import Emit, Notice, ProcessState
from innerloop.project import DevTarget


class DevelopedProcess:
    """Over all connections to a container, one after the other."""

    def __init__(self, target: DevTarget, container: PodContainer, emit: Emit, on_answer: Callable[[], None]) -> None:
        """``on_answer`` is called when a request for a new process was answered, or lost."""
        self.problem = ""
        """Why the process is not the one that was asked for."""
        self._is_owed = False
        self._target = target
        self._container = container
        self._emit = emit
        self._on_answer = on_answer
        self._connection: Connection | None = None
        self._is_supervised = False
        self._told = ProcessCode.RUNNING
        self._asked: list[tuple[int, Answer]] = []
        """Not answered yet, with the last mark before."""

    def connect(self, connection: Connection, *, is_supervised: bool) -> None:
        """There is a new connection; ``is_supervised``: its helper runs the process."""
        self._connection = connection
        self._is_supervised = is_supervised

    async def restart(self, marked: int = 0) -> Answer | None:
        """Ask for a new process, for what has the marks up to ``marked``; returns the answer to come, None where no
        helper runs it. Raises Disconnected."""
        if self._connection and not self._is_supervised:
            notice = _not_supervised(self._target, self._container)
            self._emit(notice)
            self.problem = notice.message
            return None
        try:
            answer = await self._connected().restart()
        except LoopError:
            self._is_owed = True
            raise
        self._asked.append((marked, answer))
        answer.add_done_callback(self._take_answer)
        return answer

    def take_owed(self) -> bool:
        """Whether a new process was asked for on a stream that broke before the answer; from now on the caller sees to
        it."""
        owed, self._is_owed = self._is_owed, False
        return owed

    async def signal(self, number: int) -> SignalResult:
        """Send the process and its group a signal. Raises Disconnected."""
        return await self._connected().signal(number)

    def is_started(self, marked: int) -> bool:
        """Whether what was asked for up to this mark was answered."""
        return not any(asked <= marked for asked, _ in self._asked)

    def take(self, reply: State | Restarted) -> None:
        """What the helper tells."""
        if isinstance(reply, Restarted):
            self.problem = f"the process was not started: {reply.text}" if reply.result else ""
            if reply.result == RestartResult.NOT_STARTED:
                self._tell("exited", reply.text)
        elif reply.process != self._told or reply.process == ProcessCode.RESTARTING:
            self._told = reply.process
            if reply.process == ProcessCode.EXITED:
                self._tell("exited", _ending(reply.code))
            else:
                self._tell("running" if reply.process == ProcessCode.RUNNING else "restarting")

    def _connected(self) -> Connection:
        if self._connection is None:
            raise Disconnected(f"there is no connection to {self._container.pod}")
        return self._connection

    def _take_answer(self, answer: Answer) -> None:
        if answer.cancelled() or answer.exception() is not None:
            self._is_owed = True
        self._asked = [(marked, one) for marked, one in self._asked if not one.done()]
        self._on_answer()

    def _tell(self, state: Literal["running", "exited", "restarting"], message: str = "") -> None:
        container = self._container
        self._emit(
            ProcessState(
                service=self._target.name,
                pod=container.pod,
                container=container.container,
                state=state,
                message=message,
            )
        )


def _ending(code: int) -> str:
    return f"ended by signal {-code}" if code < 0 else f"ended with status {code}"


def _not_supervised(target: DevTarget, container: PodContainer) -> Notice:
    return Notice(
        level="error",
        message=f"{target.name}: the process in {container.pod}/{container.container} cannot be restarted",
        detail="the container was not started by the helper, since its command was not known",
        hint=f"set dev.{target.name}.command and run loop dev again",
    )
