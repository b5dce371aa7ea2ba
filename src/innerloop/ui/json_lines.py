"""Events as JSON, one object a line: what ``-o json`` prints for tools."""

from __future__ import annotations

from typing import TextIO

import msgspec

from innerloop.events import Event

_encoder = msgspec.json.Encoder()


class JsonLines:
    """Subscriber that writes one JSON object per event; the field ``event`` names its type."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        self._stream.write(_encoder.encode(event).decode() + "\n")
        self._stream.flush()

    def tick(self) -> None:
        """Every event was told at once."""

    def close(self) -> None:
        """Nothing to undo."""
