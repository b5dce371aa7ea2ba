"""From the exception groups of concurrent work to the one error that is told."""

from __future__ import annotations

from innerloop.errors import LoopError


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
