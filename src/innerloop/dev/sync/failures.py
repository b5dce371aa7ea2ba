"""What could not be synced, why, and what mends it, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from innerloop.dev.pods import PodContainer
from innerloop.dev.sync.local_tree import Key, SyncRoot
from innerloop.dev.sync.names import shown
from innerloop.dev.sync.protocol import Failed, Reason
from innerloop.events import Notice

_SHOWN = 3


class Explanation(NamedTuple):
    message: str
    hint: str


def notices(
    failures: Iterable[Failed], roots: Sequence[SyncRoot], container: PodContainer, service: str, uid: int
) -> Iterator[Notice]:
    """One notice for all paths that failed for the same reason."""
    groups: dict[Explanation, list[str]] = {}
    for failure in failures:
        remote = roots[failure.root].remote
        path = f"{remote.rstrip('/')}/{shown(failure.path)}" if failure.path else remote
        groups.setdefault(explain(failure, remote, service, uid), []).append(path)
    for explanation, paths in groups.items():
        named = ", ".join(paths[:_SHOWN]) + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")
        yield Notice(
            level="error",
            message=f"{service}: not synced to {container.pod}/{container.container}: {named}: {explanation.message}",
            hint=explanation.hint,
        )


def clash_notice(lost: Key, kept: Key, roots: Sequence[SyncRoot], container: PodContainer, service: str) -> Notice:
    """Of two names that the container takes for one."""
    place = f"{roots[lost.root].remote.rstrip('/')}/{shown(lost.path)}"
    return Notice(
        level="error",
        message=f"{service}: not synced to {container.pod}/{container.container}: {place}: it is the same file there as"
        f" {shown(kept.path)}, which is synced",
        hint="the file system there does not tell upper from lower case: rename one of them",
    )


def explain(failure: Failed, remote: str, service: str, uid: int) -> Explanation:
    """Why an operation failed, and the mend."""
    match failure.reason:
        case Reason.PERMISSION:
            return Explanation(
                f"permission denied: the container's user is {uid}, and {failure.folder or 'the folder is another’s'}",
                f"give the folder to that user in the image (COPY --chown={uid}, or RUN chown -R {uid} {remote}),"
                f" mount an emptyDir at {remote}, or set the pod's securityContext.runAsUser",
            )
        case Reason.READ_ONLY:
            return Explanation(
                "the file system is read-only there",
                f"mount an emptyDir at {remote}, or allow writing while developing (readOnlyRootFilesystem: false)",
            )
        case Reason.NO_SPACE:
            return Explanation(
                "no space is left",
                "free some (it is tried again when files are deleted here, or when it is saved again), or raise the"
                " limit of the volume or of ephemeral storage",
            )
        case Reason.NOT_EMPTY:
            return Explanation(
                "a folder is in its place, with files that sync does not manage",
                f"if they are not needed, remove it: loop exec {service} -- rm -r {remote.rstrip('/')}/…",
            )
        case Reason.LINK_IN_PATH:
            return Explanation(
                "a folder on the way is a symbolic link in the container",
                "sync to the folder that it leads to, or make it a folder in the image",
            )
        case Reason.OUTSIDE:
            return Explanation(f"the path leads out of {remote}", "")
        case _:
            return Explanation(
                failure.text or "it changed while it was sent", "it is tried again when it is saved again"
            )
