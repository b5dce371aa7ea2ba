"""One question to a name server, to see whether it answers: DNS messages by RFC 1035, section 4."""

from __future__ import annotations

import asyncio
import struct

HEADER = struct.Struct("!HHHHHH")
_RECURSION_DESIRED = 0x0100
_TYPE_A, _CLASS_IN = 1, 1
_CODE_MASK = 0x000F


def question(name: str, number: int) -> bytes:
    """A query for the A records of a name without a trailing dot."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return HEADER.pack(number, _RECURSION_DESIRED, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, _TYPE_A, _CLASS_IN)


def has_answer(message: bytes, number: int) -> bool:
    """Whether a message answers the query of that number, with at least one record and no error."""
    if len(message) < HEADER.size:
        return False
    given, flags, _, answers, _, _ = HEADER.unpack_from(message)
    return given == number and not flags & _CODE_MASK and answers > 0


async def resolves(server: str, name: str, *, timeout: float) -> bool:
    """Whether ``server`` (an address) answers with an address for ``name``."""
    loop = asyncio.get_running_loop()
    received: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Once(received), remote_addr=(server, 53))
    try:
        transport.sendto(question(name, 1))
        async with asyncio.timeout(timeout):
            return has_answer(await received, 1)
    except (TimeoutError, OSError):
        return False
    finally:
        transport.close()


class _Once(asyncio.DatagramProtocol):
    def __init__(self, received: asyncio.Future[bytes]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self._received.done():
            self._received.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._received.done():
            self._received.set_exception(exc)
