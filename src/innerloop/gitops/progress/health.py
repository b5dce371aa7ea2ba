"""Whether an environment's objects are ready, by our own look: for agents that do not tell, or not why."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Literal, NamedTuple

from innerloop.deploy.looking_around import look_around
from innerloop.deploy.status import status
from innerloop.deploy.together import together
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import NotFound, UnknownKind
from innerloop.manifest import ObjectKey


class Health(NamedTuple):
    """The state of the worst object; ``ready`` when there is none that could be anything else."""

    state: Literal["ready", "waiting", "failed"]
    object: str = ""
    """``Kind/name``."""
    message: str = ""


async def health(client: Client, keys: Iterable[ObjectKey]) -> Health:
    """Look at the objects once. Raises ApiError (without the right to look), ConnectionFailed."""
    keys = list(keys)
    live = await together(partial(_get, client), keys, name="get")
    surroundings = await look_around(client, [one for one in live if one])
    worst = Health("ready")
    for key, object in zip(keys, live, strict=True):
        if object is None:
            found = Health("waiting", str(key), "is not there")
        else:
            state, message = status(object)
            cause = surroundings.cause(object) if state != "ready" else None
            # what does not mend itself is told at once, without the time that its controller gives it
            hopeless = cause is not None and cause.patience == 0
            found = Health("failed" if hopeless else state, str(key), cause.message if cause else message)
        worst = max(worst, found, key=lambda one: ("ready", "waiting", "failed").index(one.state))
    return worst


async def _get(client: Client, key: ObjectKey) -> dict[str, Any] | None:
    try:
        found = await objects.get(client, key)
    except (NotFound, UnknownKind):
        return None
    # the server leaves them out of some answers
    return {"apiVersion": key.api_version, "kind": key.kind, **found}
