"""Lines out of a stream of chunks."""

from __future__ import annotations


class Lines:
    """Puts lines together from chunks that end anywhere.

    ``limit`` is the longest line in bytes, 0 for any; a longer one is handed out in pieces, so that a program
    that never ends its line does not fill our memory.
    """

    def __init__(self, limit: int = 0) -> None:
        self._limit = limit
        self._pending: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that ``chunk`` completes, without their newlines."""
        *complete, rest = chunk.split(b"\n")
        if complete:
            complete[0] = self.rest() + complete[0]
        if rest:
            self._pending.append(rest)
            self._size += len(rest)
            if self._limit and self._size >= self._limit:
                complete.append(self.rest())
        return complete

    def rest(self) -> bytes:
        """What came after the last newline; forgets it."""
        rest = b"".join(self._pending)
        self._pending.clear()
        self._size = 0
        return rest
