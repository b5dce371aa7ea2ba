"""The part of SPDY/3.1 that port-forwarding speaks, as functions over bytes.

Kubernetes 1.31 (KEP-4006) tunnels SPDY through a WebSocket: its messages, cut anywhere, make one stream of frames.
A frame is 8 bytes and a payload: a bit that tells control frames, then version and type or the stream's number, 8
flags, 24 bits of length. We number our streams 1, 3, 5 …; the server answers each by SYN_REPLY, and drops data that
comes before that (github.com/moby/spdystream 0.5). It knows no flow control: WINDOW_UPDATE is ignored.

Header blocks are compressed by zlib with a dictionary, in one context for the whole connection. Those of the server
carry nothing that we need, so only the sending side is here.

Source: https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Literal, NamedTuple

VERSION = 3
SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 1
CANCEL = 5
"""Status of RST_STREAM: the creator does not want the stream any more."""
_STREAM_BITS = 0x7FFFFFFF


class Event(NamedTuple):
    """What a frame, or a piece of a data frame, tells."""

    kind: Literal["reply", "data", "reset", "ping", "goaway"]
    stream: int
    """For a ping its number."""
    data: bytes = b""
    fin: bool = False
    """The other side sends no more on the stream."""


class ProtocolError(Exception):
    """What came is no SPDY."""


def data_frame(stream: int, data: bytes, *, fin: bool = False) -> bytes:
    return struct.pack(">II", stream, (FIN if fin else 0) << 24 | len(data)) + data


def reset_frame(stream: int, status: int = CANCEL) -> bytes:
    return _control(RST_STREAM, struct.pack(">II", stream, status))


def ping_frame(number: int) -> bytes:
    """A ping, or the answer to one; the client's have odd numbers."""
    return _control(PING, struct.pack(">I", number))


class Opener:
    """Makes the frames that open streams; they have to be sent in the order in which they were made."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(zdict=DICTIONARY)

    def syn_stream(self, stream: int, headers: Mapping[str, str]) -> bytes:
        """Opens a stream in both directions; header names in lower case."""
        block = struct.pack(">I", len(headers)) + b"".join(_text(word) for pair in headers.items() for word in pair)
        compressed = self._compressor.compress(block) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        # no associated stream, highest priority, no credentials
        return _control(SYN_STREAM, struct.pack(">IIBB", stream, 0, 0, 0) + compressed)


class Parser:
    """Puts frames together from chunks that end anywhere. Data is handed on as it comes, never kept."""

    def __init__(self) -> None:
        self._pending = b""
        self._stream = 0
        self._left = 0
        self._fin = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that ``chunk`` completes. Raises ProtocolError."""
        events: list[Event] = []
        data = self._pending + chunk if self._pending else chunk
        position = 0
        while position < len(data):
            if self._left:
                position += self._take_data(data, position, events)
                continue
            length = self._take_frame(data, position, events)
            if not length:
                break
            position += length
        self._pending = data[position:]
        return events

    def _take_data(self, data: bytes, position: int, events: list[Event]) -> int:
        piece = data[position : position + self._left]
        self._left -= len(piece)
        events.append(Event("data", self._stream, piece, self._fin and not self._left))
        return len(piece)

    def _take_frame(self, data: bytes, position: int, events: list[Event]) -> int:
        """Take a control frame, or the head of a data frame; returns its length, 0 when it is not all there."""
        if len(data) - position < 8:
            return 0
        first = int.from_bytes(data[position : position + 4])
        second = int.from_bytes(data[position + 4 : position + 8])
        flags, length = second >> 24, second & 0xFFFFFF
        if not first & ~_STREAM_BITS:
            self._stream, self._left, self._fin = first, length, bool(flags & FIN)
            if not length:
                events.append(Event("data", first, b"", self._fin))
            return 8
        if (first & _STREAM_BITS) >> 16 != VERSION:
            raise ProtocolError(f"control frame of version {(first & _STREAM_BITS) >> 16}")
        if len(data) - position < 8 + length:
            return 0
        event = _control_event(first & 0xFFFF, flags, data[position + 8 : position + 8 + length])
        if event is not None:
            events.append(event)
        return 8 + length


def _control_event(type: int, flags: int, payload: bytes) -> Event | None:
    if type not in (SYN_REPLY, RST_STREAM, PING, GOAWAY):
        return None
    if len(payload) < 4:
        raise ProtocolError(f"control frame of type {type} with {len(payload)} bytes")
    number = int.from_bytes(payload[:4])
    if type == PING:
        return Event("ping", number)
    kind: dict[int, Literal["reply", "reset", "goaway"]] = {SYN_REPLY: "reply", RST_STREAM: "reset", GOAWAY: "goaway"}
    return Event(kind[type], number & _STREAM_BITS, fin=bool(flags & FIN) or type == RST_STREAM)


def _control(type: int, payload: bytes) -> bytes:
    return struct.pack(">HHI", 0x8000 | VERSION, type, len(payload)) + payload


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">I", len(encoded)) + encoded


# section 2.6.10.1; Adler-32 e3c6a7c2
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(_text(word.replace("_", " ")) for word in _WORDS.split()) + _TAIL.encode()
