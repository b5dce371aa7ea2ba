"""Frames as functions over bytes; that the helper understands them is tested in tests/native."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innerloop.dev import sync_protocol as protocol
from innerloop.dev.sync_protocol import (
    Checked,
    Committed,
    Expected,
    Failed,
    Fatal,
    Head,
    ProcessCode,
    ProtocolError,
    Reason,
    Reply,
    Restarted,
    RestartResult,
    State,
    Welcome,
)

u32 = st.integers(0, 2**32 - 1)
words = st.text(max_size=50)
replies = st.one_of(
    st.builds(Welcome, st.integers(0, 65535), st.booleans(), u32, u32),
    st.builds(Checked, u32, st.binary(max_size=100)),
    st.builds(Failed, st.integers(0, 255), st.sampled_from(Reason), st.binary(max_size=100), words, words),
    st.builds(Committed, u32),
    st.builds(Restarted, u32, st.sampled_from(RestartResult), words),
    st.builds(State, st.sampled_from(ProcessCode), u32, st.integers(-(2**31), 2**31 - 1)),
    st.builds(Fatal, words),
)


def text(value: str | bytes) -> bytes:
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<H", len(data)) + data


def encode(reply: Reply) -> bytes:
    """As the helper writes it."""
    match reply:
        case Welcome(version, supervised, uid, gid):
            type, payload = 0x81, struct.pack("<HBII", version, supervised, uid, gid)
        case Checked(id, results):
            type, payload = 0x82, struct.pack("<I", id) + results
        case Failed(root, reason, path, why, folder):
            type, payload = 0x8B, bytes((root, reason)) + text(path) + text(why) + text(folder)
        case Committed(id):
            type, payload = 0x8C, struct.pack("<I", id)
        case Restarted(id, result, why):
            type, payload = 0x8D, struct.pack("<IB", id, result) + text(why)
        case State(process, pid, code):
            type, payload = 0x8E, struct.pack("<BIi", process, pid, code)
        case Fatal(why):
            type, payload = 0xFF, text(why)
    return struct.pack("<IB", len(payload), type) + payload


@given(st.lists(replies, max_size=8), st.lists(st.integers(0, 2000), max_size=8))
def test_replies_are_read_however_the_stream_is_cut(sent: list[Reply], cuts: list[int]) -> None:
    stream = b"".join(map(encode, sent))
    received: list[Reply] = []
    rest = b""
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, end in itertools.pairwise(places):
        complete, rest = protocol.parse(rest + stream[start:end])
        received += complete
    assert received == sent
    assert rest == b""


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_an_error_or_incomplete(data: bytes) -> None:
    try:
        _, rest = protocol.parse(data)
    except ProtocolError:
        return
    assert data.endswith(rest)


@given(st.lists(replies, min_size=1, max_size=4), st.data())
def test_an_incomplete_reply_is_kept(sent: list[Reply], data: st.DataObject) -> None:
    stream = b"".join(map(encode, sent))
    last = encode(sent[-1])
    missing = data.draw(st.integers(1, len(last)))
    complete, rest = protocol.parse(stream[:-missing])
    assert complete == sent[:-1]
    assert rest == last[:-missing]


def test_oversized_frame_is_refused_before_it_is_complete() -> None:
    with pytest.raises(ProtocolError, match="does not speak"):
        protocol.parse(b"HTTP/1.1 400 Bad Request\r\n")


@given(st.binary(max_size=300), st.integers(0, 255), st.integers(0, 0o777), st.booleans())
def test_check_size_is_what_a_path_adds(path: bytes, root: int, mode: int, exact: bool) -> None:
    expected = Expected(Head(root, path, mode, exact), b"f", 2**40, bytes(32))
    one = protocol.check(1, [expected])
    assert len(protocol.check(1, [expected, expected])) - len(one) == protocol.check_size(expected)


@given(st.binary(max_size=protocol.CHUNK))
def test_a_file_is_begin_data_end(content: bytes) -> None:
    head = Head(3, b"a/b", 0o644)
    frames = protocol.file(head, content, bytes(32))
    assert frames == protocol.file_begin(head) + protocol.file_data(content) + protocol.file_end(bytes(32))
    assert max(len(protocol.file_begin(head)), len(content) + 5) <= protocol.MAX_PAYLOAD
