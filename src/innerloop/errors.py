"""The errors that a user can mend.

Whoever raises one says what is wrong, where (``loop.yaml:12:5``), why, and what to do. The command line turns
them into text and exit code 1; every other exception is our bug (exit code 3).
"""

from __future__ import annotations

from typing import NamedTuple


class Location(NamedTuple):
    """A place in a file; line and column count from 1, 0 means the whole file."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        parts = [self.file]
        if self.line:
            parts.append(str(self.line))
            if self.column:
                parts.append(str(self.column))
        return ":".join(parts)


class LoopError(Exception):
    """Something that the user can mend.

    ``message`` says what is wrong in one line, ``detail`` why (may have several lines: a tool's output, a log's
    tail), ``hint`` what to do about it.
    """

    def __init__(
        self,
        message: str,
        *,
        where: Location | None = None,
        detail: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.detail = detail
        self.hint = hint
        self.told = False
        """Whether an event has told it already, so that it is not told twice."""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


def single_failure(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one exception that stands for the group.

    Our bugs come before the user's errors, since they must not be hidden; of several user errors the first is told.
    """
    leaves = list(_leaves(group))
    bugs = [leaf for leaf in leaves if not isinstance(leaf, LoopError)]
    return (bugs or leaves)[0]


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves
