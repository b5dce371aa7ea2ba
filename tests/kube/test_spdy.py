"""SPDY frames: what is cut apart comes together again, and any bytes are either frames or an error."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from innerloop.kube.spdy import (
    DICTIONARY,
    Event,
    Opener,
    Parser,
    ProtocolError,
    data_frame,
    ping_frame,
    reset_frame,
)

STREAMS = st.integers(1, 0x7FFFFFFF)
FRAMES = st.one_of(
    st.builds(Event, st.just("data"), STREAMS, st.binary(max_size=300), st.booleans()),
    st.builds(Event, st.just("reset"), STREAMS, st.just(b""), st.just(True)),
    st.builds(Event, st.just("ping"), st.integers(1, 0xFFFFFFFF), st.just(b""), st.just(False)),
)


def test_dictionary_is_that_of_the_specification() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


@settings(deadline=None)
@given(st.lists(FRAMES), st.lists(st.integers(0, 2000)))
def test_frames_survive_being_cut(frames: list[Event], cuts: list[int]) -> None:
    stream = b"".join(map(_encoded, frames))
    parser, events, start = Parser(), [], 0
    for end in sorted({len(stream), *(cut for cut in cuts if cut < len(stream))}):
        events += parser.feed(stream[start:end])
        start = end
    assert _joined(events) == _joined(frames)


def test_end_comes_with_the_last_piece_only() -> None:
    parser, frame = Parser(), data_frame(1, b"abcd", fin=True)
    assert parser.feed(frame[:10]) == [Event("data", 1, b"ab")]
    assert parser.feed(frame[10:]) == [Event("data", 1, b"cd", fin=True)]


def test_replies_are_told_and_settings_are_not() -> None:
    reply = struct.pack(">HHII", 0x8003, 2, 4 + 3, 5) + b"zip"
    settings = struct.pack(">HHII", 0x8003, 4, 4, 0)
    assert Parser().feed(settings + reply) == [Event("reply", 5)]


def test_headers_can_be_read_by_a_decompressor_of_the_connection() -> None:
    opener, decompressor = Opener(), zlib.decompressobj(zdict=DICTIONARY)
    for number in (1, 3):
        headers = {"streamtype": "data", "port": "8080", "requestid": str(number)}
        frame = opener.syn_stream(number, headers)
        version, type, length, stream = struct.unpack_from(">HHII", frame)
        assert (version, type, length, stream) == (0x8003, 1, len(frame) - 8, number)
        assert _headers(decompressor.decompress(frame[18:])) == headers


def test_other_version_is_an_error() -> None:
    with pytest.raises(ProtocolError, match="version 2"):
        Parser().feed(struct.pack(">HHI", 0x8002, 1, 0))


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_are_frames_or_an_error(data: bytes) -> None:
    try:
        assert all(isinstance(event, Event) for event in Parser().feed(data))
    except ProtocolError:
        pass


def _encoded(event: Event) -> bytes:
    if event.kind == "data":
        return data_frame(event.stream, event.data, fin=event.fin)
    return reset_frame(event.stream) if event.kind == "reset" else ping_frame(event.stream)


def _joined(events: list[Event]) -> list[Event]:
    """Events with neighbouring pieces of data made one."""
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        if last and last.kind == event.kind == "data" and last.stream == event.stream and not last.fin:
            joined[-1] = last._replace(data=last.data + event.data, fin=event.fin)
        else:
            joined.append(event)
    return joined


def _headers(block: bytes) -> dict[str, str]:
    count, position, words = struct.unpack_from(">I", block)[0], 4, []
    while position < len(block):
        length = struct.unpack_from(">I", block, position)[0]
        words.append(block[position + 4 : position + 4 + length].decode())
        position += 4 + length
    assert len(words) == 2 * count
    return dict(zip(words[::2], words[1::2], strict=True))
