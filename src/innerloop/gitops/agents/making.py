"""From what is about to be applied to what has to be asked of agents, and whether the user may ask it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from innerloop.deploy.looking import look_all
from innerloop.deploy.together import together
from innerloop.errors import LoopError
from innerloop.gitops.agents.asks import LeaveObject
from innerloop.gitops.agents.finding import Unseen, find, served
from innerloop.gitops.agents.ladder import Step, steps
from innerloop.gitops.agents.ownership import KUSTOMIZATION, key_of, target_of
from innerloop.kube import discovery, objects
from innerloop.kube.client import Client
from innerloop.kube.rights import may
from innerloop.manifest import ObjectKey

Object = dict[str, Any]


class Wanted(NamedTuple):
    """What keeps agents from undoing an apply."""

    steps: tuple[Step, ...]
    forbidden: tuple[Step, ...]
    """Those of them that the user may not take."""
    unseen: tuple[Unseen, ...]
    """Agents that the user may not even look at."""


async def wanted(client: Client, keys: Iterable[ObjectKey]) -> Wanted:
    """What has to be asked before objects are applied; in a cluster without agents no question is asked for it.

    Raises ApiError, ConnectionFailed.
    """
    if not await served(client):
        return Wanted((), (), ())
    metadata = await look_all(client, keys)
    live = [{"apiVersion": key.api_version, "kind": key.kind, "metadata": one} for key, one in metadata.items()]
    found = await find(client, live)
    # a Kustomization leaves an object alone by what is on the object: it need not be looked at for that
    live_by_target = {target_of(one.object): one.object for one in found.owned}
    blind = [one for one in found.unseen if one.claim.kind == KUSTOMIZATION and one.about in live_by_target]
    needed = [
        *steps(found.owned, objects.MANAGER),
        *(Step(key_of(live_by_target[one.about]), LeaveObject(), None, "at its interval") for one in blind),
    ]

    async def allowed(key: ObjectKey) -> bool:
        resource = await discovery.resource(client, key.api_version, key.kind)
        where = {"group": resource.group, "namespace": key.namespace, "name": key.name}
        return await may(client, "patch", resource.plural, **where)

    others = tuple(one for one in found.unseen if one not in blind)
    asked = list(dict.fromkeys(step.asked for step in needed))
    rights = dict(zip(asked, await together(allowed, asked, name="may change"), strict=True))
    return Wanted(tuple(needed), tuple(step for step in needed if not rights[step.asked]), others)


def refusal(found: Wanted, namespace: str) -> LoopError | None:
    """Why a session can't begin: who would undo it, and when. None when nothing stands in its way."""
    lines = [*_forbidden(found.forbidden), *_unseen(found.unseen)]
    if not lines:
        return None
    return LoopError(
        f"what is deployed to {namespace} would be undone: it is kept by GitOps, and you may not ask that to wait",
        detail="\n".join(lines),
        hint="work in a namespace of your own: loop use namespace NAME\n"
        "      or ask who runs the cluster for the right to patch these objects; --force deploys all the same",
    )


def _forbidden(some: Sequence[Step]) -> list[str]:
    told = [f"{step.asked} in {step.asked.namespace} undoes changes {step.when}" for step in some]
    return list(dict.fromkeys(told))


def _unseen(some: Sequence[Unseen]) -> list[str]:
    told = [f"{one.claim} may undo changes of {one.about}, and may not be looked at: {one.why}" for one in some]
    return list(dict.fromkeys(told))
