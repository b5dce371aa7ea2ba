"""The ballot box: counters in Redis, spoken to in its own protocol (RESP 2)."""

from __future__ import annotations

import socket
from typing import BinaryIO

Reply = str | int | bytes | list | None


class Closed(Exception):
    """Redis cannot be reached, or answers with an error."""


class BallotBox:
    def __init__(self, host: str, port: int = 6379, *, answers: list[str]) -> None:
        self.address = f"{host}:{port}"
        self._host, self._port = host, port
        self._keys = {answer: f"vote:{answer}" for answer in answers}

    def add(self, answer: str) -> None:
        self._ask("INCR", self._keys[answer])

    def counts(self) -> dict[str, int]:
        counts = self._ask("MGET", *self._keys.values())
        return {answer: int(count or 0) for answer, count in zip(self._keys, counts, strict=True)}

    def reset(self) -> None:
        self._ask("DEL", *self._keys.values())

    def _ask(self, *command: str) -> Reply:
        """One command on a connection of its own: plenty for a poll, and nothing to repair after an outage."""
        try:
            with socket.create_connection((self._host, self._port), timeout=2) as connection:
                connection.sendall(encode(*command))
                with connection.makefile("rb") as replies:
                    return decode(replies)
        except (OSError, ValueError) as error:
            raise Closed(str(error)) from error


def encode(*command: str) -> bytes:
    """A command as an array of bulk strings."""
    parts = [word.encode() for word in command]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def decode(replies: BinaryIO) -> Reply:
    """The next reply: str, int, bytes, None or a list of them. Raises ValueError for an error or for nonsense."""
    line = replies.readline()
    kind, rest = line[:1], line[1:].rstrip(b"\r\n")
    match kind:
        case b"+":
            return rest.decode()
        case b":":
            return int(rest)
        case b"$":
            return None if rest == b"-1" else replies.read(int(rest) + 2)[:-2]
        case b"*":
            return [decode(replies) for _ in range(int(rest))]
        case b"-":
            raise ValueError(rest.decode(errors="replace"))
    raise ValueError(f"not a reply: {line!r}")
