"""What is told when a wait ends in failure: an event for each object, and one error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from innerloop.deploy.judging import Item
from innerloop.errors import LoopError
from innerloop.events import StepFailed
from innerloop.manifest import ObjectKey

Messages = Mapping[ObjectKey, str]
"""Of the objects that failed; without any, time was up."""
Lines = Mapping[ObjectKey, Sequence[str]]
"""Last log lines of what crashed."""

HINTS = {
    "image": "see that the image is there under this name, and that the cluster may pull it (imagePullSecrets)",
    "config": "create what is missing, or correct its name",
    "refused": "make room in the quota, or ask who runs the cluster for more",
    "blocked": "delete that pod (kubectl delete pod NAME): the new version follows",
    "scheduling": "lower what the pod asks for, or ask who runs the cluster for such a node",
}


class NotReady(LoopError):
    """Objects did not become ready; ``detail`` has the last lines of what crashed, and what else is not ready."""

    def __init__(self, message: str, *, key: ObjectKey, detail: str | None, hint: str | None) -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.key = key
        self.told = True  # by an event for each object


def failure_events(
    items: Sequence[Item], failed: Messages, lines: Lines, now: float, timeout: float
) -> Iterator[StepFailed]:
    """One for each object that is not ready."""
    for item in items:
        yield StepFailed(
            step=item.step,
            title=item.title,
            seconds=now - item.started,
            message=_message(item, failed, timeout),
            detail="\n".join(lines.get(item.key, ())),
            hint=_hint(item) or "",
        )


def not_ready(items: Sequence[Item], failed: Messages, lines: Lines, timeout: float) -> NotReady:
    """The error; the first of ``items`` is the one that it is about."""
    first, *others = items
    detail = [*lines.get(first.key, ())]
    detail += [f"{item.key}: {_message(item, failed, timeout)}" for item in others]
    return NotReady(
        f"{first.key} {_message(first, failed, timeout)}",
        key=first.key,
        detail="\n".join(detail) or None,
        hint=_hint(first),
    )


def _message(item: Item, failed: Messages, timeout: float) -> str:
    if item.key in failed:
        return f"is not ready: {failed[item.key]}"
    return f"is not ready{'' if failed else f' after {timeout:g} s'}: {item.message or 'not seen yet'}"


def _hint(item: Item) -> str | None:
    return HINTS.get(item.cause.kind) if item.cause else None
