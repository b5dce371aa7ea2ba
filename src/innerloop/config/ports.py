"""Forwarded ports as people write them."""

from __future__ import annotations

from innerloop.errors import LoopError
from innerloop.project import PortForward


def parse_forward(text: str) -> PortForward:
    """``8085:80``, ``8085`` or ``0.0.0.0:8085:80``. Raises LoopError for anything else."""
    address, _, ports = text.rpartition(":")
    address, _, local = address.rpartition(":")
    numbers = [int(part) for part in (local or ports, ports) if part.isdecimal() and 0 < int(part) < 65536]
    if len(numbers) < 2:
        hint = "for instance 8085:80, 8085, or 0.0.0.0:8085:80; ports are from 1 to 65535"
        raise LoopError(f"'{text}' is not LOCAL:REMOTE", hint=hint)
    return PortForward(local=numbers[0], remote=numbers[1], address=address.strip("[]") or "127.0.0.1")
