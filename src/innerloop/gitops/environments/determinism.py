"""Whether an environment would be rendered the same again: what would not is an error, unless it is allowed."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

from innerloop.errors import LoopError
from innerloop.events import Emit, Notice
from innerloop.project import Exemption, Project
from innerloop.render.evidence import Evidence, Varying


def judge(evidence: Evidence, project: Project, emit: Emit) -> None:
    """Raises LoopError that names every object which differs each time, with the call that makes it so.

    Those that ``gitops.allow`` lets through are told, and so are charts that ask the cluster.
    """
    for lookup in dict.fromkeys(evidence.lookups):
        message = (
            f"{lookup.where}: chart {lookup.chart} asks the cluster (lookup), and finds nothing when it is rendered"
        )
        emit(Notice(level="warning", message=message, hint="give it the value, where the chart has one for it"))
    allowed = [one for one in (project.gitops.allow if project.gitops else ()) if one.gate == "random"]
    refused = []
    for varying in evidence.varying:
        exemption = _exemption(varying, allowed)
        if exemption is None:
            refused.append(varying)
        else:
            emit(Notice(level="info", message=f"{varying.key} differs each time: {exemption.reason}"))
    if refused:
        raise _error(refused)


def _exemption(varying: Varying, allowed: Iterable[Exemption]) -> Exemption | None:
    return next((one for one in allowed if fnmatch.fnmatchcase(str(varying.key), one.object)), None)


def _error(refused: list[Varying]) -> LoopError:
    first, several = refused[0], len(refused) > 1
    subject = f"{len(refused)} objects are" if several else f"{first.key} is"
    exempt = f"{{gate: random, object: {first.key}, reason: …}}"
    return LoopError(
        f"{subject} rendered differently each time",
        where=first.where,
        detail="\n".join(_told(varying) for varying in refused),
        hint=f"give the template a fixed value, or make the object elsewhere; to let it be: gitops.allow: [{exempt}]",
    )


def _told(varying: Varying) -> str:
    call = f": {varying.function} at {varying.where}" if varying.function else ""
    return f"{varying.key} of {varying.source or 'a plugin'}{call}"
