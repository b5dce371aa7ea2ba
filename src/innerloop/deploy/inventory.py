"""Inventories in the cluster: ConfigMaps ``innerloop-inventory-NAME`` in the namespaces of their projects.

Written before objects are made and after, each time against the version that was read, so that neither an
interruption nor a second session at the same time leaves an object that no inventory lists.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from innerloop.deploy import records
from innerloop.deploy.identity import Owner, identify
from innerloop.deploy.records import Inventory
from innerloop.errors import LoopError
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import Conflict, Forbidden, NotFound
from innerloop.kube.rights import may
from innerloop.manifest import ObjectKey


class Stored(NamedTuple):
    inventory: Inventory
    uid: str
    resource_version: str


class ForeignInventory(LoopError):
    """The name is taken by another project."""


async def read(client: Client, project: str, namespace: str) -> Stored | None:
    """The inventory of a project, None when it has none there (or the namespace is gone).

    Raises LoopError when it is damaged, ApiError, ConnectionFailed.
    """
    try:
        return _stored(await objects.get(client, _key(project, namespace)))
    except NotFound:
        return None


async def check(client: Client, project: str, namespace: str, folder: Path, *, take_over: bool = False) -> None:
    """Tell before anything is built what an apply from ``folder`` would be refused for.

    Raises LoopError without rights in the namespace, ForeignInventory.
    """
    try:
        stored = await read(client, project, namespace)
    except Forbidden as error:
        raise _no_rights(error, namespace) from error
    if not await may(client, "create", "configmaps", namespace=namespace):
        raise _read_only(namespace)
    if stored and not take_over:
        check_owner(stored.inventory, await identify(folder))


async def read_all(client: Client, namespace: str) -> list[Stored]:
    """The inventories of all projects in a namespace."""
    try:
        found, _ = await objects.list_all(client, "v1", "ConfigMap", namespace=namespace, label_selector=records.LABEL)
    except Forbidden as error:
        raise _no_rights(error, namespace) from error
    return [_stored(config_map) for config_map in found]


async def update(
    client: Client,
    project: str,
    namespace: str,
    change: Callable[[Inventory], Inventory],
    *,
    owner: Owner,
    known: Stored | None = None,
    take_over: bool = False,
) -> Stored:
    """Write what ``change`` makes of the inventory as it is now; an empty one where there is none.

    ``change`` may be called several times, when somebody else writes meanwhile. ``known`` spares the first read.
    Raises ForeignInventory, Forbidden, LoopError when it becomes too large.
    """
    stored = known or await read(client, project, namespace)
    while True:
        if stored:
            check_owner(stored.inventory, owner, take_over=take_over)
        current = stored.inventory if stored else Inventory(project, namespace, owner)
        wanted = msgspec.structs.replace(change(current), owner=owner)
        if stored and wanted == current:
            return stored
        try:
            return await _write(client, wanted, stored)
        except Forbidden as error:
            raise _no_rights(error, namespace) from error
        except Conflict:
            stored = await read(client, project, namespace)
        except NotFound as error:
            if stored is None:
                raise LoopError(
                    f"namespace {namespace} does not exist",
                    hint=f"create it (kubectl create namespace {namespace}), or choose another:"
                    " loop use namespace NAME",
                ) from error
            stored = await read(client, project, namespace)


async def delete(client: Client, stored: Stored) -> bool:
    """Delete an inventory unless somebody has written to it meanwhile; tells whether it is gone."""
    key = _key(stored.inventory.project, stored.inventory.namespace)
    try:
        await objects.delete(client, key, uid=stored.uid, resource_version=stored.resource_version)
    except Conflict:
        return False
    except NotFound:
        pass
    return True


def check_owner(inventory: Inventory, owner: Owner, *, take_over: bool = False) -> None:
    """Raises ForeignInventory when the inventory is another project's and shall not be taken over."""
    if take_over or inventory.owner.is_same(owner):
        return
    raise ForeignInventory(
        f"namespace {inventory.namespace} has another project that is called {inventory.project} too",
        detail=f"deployed from {inventory.owner}\nthis one is {owner}",
        hint="choose another namespace (loop use namespace NAME) or another name in loop.yaml;"
        " if it is the same project after all, --take-over makes it this one's",
    )


async def _write(client: Client, inventory: Inventory, stored: Stored | None) -> Stored:
    content = records.encode(inventory)
    metadata: dict[str, Any] = {"labels": records.labels(inventory.project)}
    if stored is not None:
        # with its version the patch is refused when somebody else was faster
        metadata |= {"uid": stored.uid, "resourceVersion": stored.resource_version}
        key = _key(inventory.project, inventory.namespace)
        return _stored(await objects.patch(client, key, {"metadata": metadata, **content}))
    metadata |= {"name": records.config_map_name(inventory.project), "namespace": inventory.namespace}
    present = {part: {k: v for k, v in values.items() if v is not None} for part, values in content.items()}
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **present}
    return _stored(await objects.create(client, made))


def _stored(config_map: dict[str, Any]) -> Stored:
    metadata = config_map["metadata"]
    return Stored(records.decode(config_map), metadata["uid"], metadata["resourceVersion"])


def _key(project: str, namespace: str) -> ObjectKey:
    return ObjectKey("v1", "ConfigMap", namespace, records.config_map_name(project))


def _no_rights(error: Forbidden, namespace: str) -> LoopError:
    if error.anonymous:
        return error
    message = f"no right to keep the inventory of what is deployed in namespace {namespace}, or it does not exist"
    return LoopError(message, detail=error.message, hint=_ask_for_rights(namespace))


def _read_only(namespace: str) -> LoopError:
    message = f"no right to write in namespace {namespace}, only to look"
    return LoopError(message, hint=_ask_for_rights(namespace))


def _ask_for_rights(namespace: str) -> str:
    return (
        "ask who runs the cluster for the role edit there:"
        f" kubectl create rolebinding NAME --clusterrole=edit --user=YOU --namespace={namespace}"
    )
