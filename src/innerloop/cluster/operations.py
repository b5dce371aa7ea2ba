"""What ``loop cluster`` does, whatever the provider."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from innerloop.cluster import choosing, merging, records
from innerloop.cluster.provider import Status
from innerloop.cluster.records import ProviderName
from innerloop.errors import LoopError
from innerloop.events import Emit, Notice


async def up(name: str, emit: Emit, *, provider: ProviderName | None, install: bool, merge: bool) -> Status:
    """Bring a cluster up and tell its state; ``merge`` offers its context in the user's kubeconfig."""
    chosen = await choosing.for_up(name, provider, emit)
    await chosen.up(emit, install=install)
    if merge:
        await _merge(name, emit)
    return await chosen.status()


async def down(name: str, emit: Emit) -> None:
    """Remove a cluster without a trace; that there is none is no error."""
    chosen = await choosing.for_down(name)
    try:
        record = records.read(name)
    except LoopError:
        record = None
    for file in record.merged if record else ():
        await merging.withdraw(chosen.context, Path(file))
    await chosen.down(emit)


async def status(name: str) -> Status:
    record = records.read(name)
    if record is None:
        return Status(provider="built-in", name=name, state="absent")
    return await choosing.of_kind(record.provider, name).status()


async def load(name: str, images: Sequence[str], emit: Emit) -> None:
    """Have images in a cluster. Raises LoopError when there is no such cluster."""
    record = records.read(name)
    if record is None:
        raise LoopError(f"there is no cluster {name}", hint=f"make it: loop cluster up {name}")
    await choosing.of_kind(record.provider, name).load(images, emit)


async def _merge(name: str, emit: Emit) -> None:
    target = merging.users_file()
    async with records.locked(name):
        record = records.read(name)
        assert record is not None, "up wrote it"
        # remembered first: 'down' takes it out again
        if str(target) not in record.merged:
            records.write(msgspec.structs.replace(record, merged=(*record.merged, str(target))))
        await merging.merge(records.kubeconfig_of(name), target)
    emit(Notice(level="info", message=f"context {record.context} is in {target}"))
