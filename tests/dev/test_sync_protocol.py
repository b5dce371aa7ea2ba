"""Frames as functions over bytes; that the helper understands them is tested in tests/native."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innerloop.dev.sync import protocol
from innerloop.dev.sync.protocol import (
    Change,
    Changed,
    Checked,
    Committed,
    Content,
    Expected,
    Failed,
    Fatal,
    Found,
    Guard,
    Head,
    Listed,
    Listing,
    Looked,
    ProcessCode,
    ProtocolError,
    Reason,
    Reply,
    Restarted,
    RestartResult,
    Signalled,
    SignalResult,
    State,
    Welcome,
)

u8 = st.integers(0, 255)
u16 = st.integers(0, 2**16 - 1)
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
i64 = st.integers(-(2**63), 2**63 - 1)
digests = st.binary(min_size=32, max_size=32)
paths = st.binary(max_size=100)
words = st.text(max_size=50)
kinds = st.sampled_from([b"f", b"d", b"l", b"o", b"-", b"!"])
found = st.builds(Found, kinds, u16, u64, i64, st.just(bytes(32)))
looked = st.builds(Found, kinds, u16, u64, i64, digests)
reasons = st.sampled_from(Reason)
replies = st.one_of(
    st.builds(Welcome, u16, st.booleans(), u32, u32, i64),
    st.builds(Checked, u32, st.binary(max_size=100)),
    st.builds(Looked, u32, st.lists(looked, max_size=5).map(tuple)),
    st.builds(
        Listed,
        u32,
        st.sampled_from([Listing.END, Listing.MORE]),
        st.lists(st.tuples(paths, found), max_size=5).map(tuple),
        st.just(Reason.OTHER),
        st.just(""),
    ),
    st.builds(Listed, u32, st.just(Listing.FAILED), st.just(()), reasons, words),
    st.builds(Content, u32, found, st.binary(max_size=200)),
    st.builds(Failed, u8, reasons, paths, words, words),
    st.builds(Committed, u32),
    st.builds(Restarted, u32, st.sampled_from(RestartResult), words),
    st.builds(State, st.sampled_from(ProcessCode), u32, st.integers(-(2**31), 2**31 - 1)),
    st.builds(Changed, u8, st.sampled_from(Change), paths, paths),
    st.builds(Signalled, u32, st.sampled_from(SignalResult)),
    st.builds(Fatal, words),
)
guards = st.none() | st.builds(Guard, kinds, digests)
heads = st.builds(Head, u8, paths, st.integers(0, 0o777), st.booleans(), guards)


def text(value: str | bytes) -> bytes:
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<H", len(data)) + data


def encode_found(one: Found) -> bytes:
    return one.kind + struct.pack("<HQq", one.mode, one.size, one.mtime)


def encode(reply: Reply) -> bytes:
    """As the helper writes it."""
    match reply:
        case Welcome(version, supervised, uid, gid, clock):
            type, payload = 0x81, struct.pack("<HBIIq", version, supervised, uid, gid, clock)
        case Checked(id, results):
            type, payload = 0x82, struct.pack("<I", id) + results
        case Looked(id, all_found):
            type, payload = 0x83, struct.pack("<I", id) + b"".join(encode_found(one) + one.digest for one in all_found)
        case Listed(id, Listing.FAILED, _, reason, why):
            type, payload = 0x84, struct.pack("<IBB", id, 2, reason) + text(why)
        case Listed(id, listing, entries):
            listed = b"".join(encode_found(one) + text(name) for name, one in entries)
            type, payload = 0x84, struct.pack("<IB", id, listing) + listed
        case Content(id, one, data):
            type, payload = 0x85, struct.pack("<I", id) + encode_found(one) + data
        case Failed(root, reason, path, why, folder):
            type, payload = 0x8B, bytes((root, reason)) + text(path) + text(why) + text(folder)
        case Committed(id):
            type, payload = 0x8C, struct.pack("<I", id)
        case Restarted(id, result, why):
            type, payload = 0x8D, struct.pack("<IB", id, result) + text(why)
        case State(process, pid, code):
            type, payload = 0x8E, struct.pack("<BIi", process, pid, code)
        case Changed(root, change, watched, name):
            type, payload = 0x8F, bytes((root, change)) + text(watched) + text(name)
        case Signalled(id, sent):
            type, payload = 0x91, struct.pack("<IB", id, sent)
        case Fatal(why):
            type, payload = 0xFF, text(why)
    return struct.pack("<IB", len(payload), type) + payload


class Fields:
    """The payload of one frame to the helper, field by field, as the helper reads it."""

    def __init__(self, frame: bytes, type: int) -> None:
        size, found_type = struct.unpack_from("<IB", frame)
        assert (size, found_type) == (len(frame) - 5, type)
        self._payload = frame[5:]

    def take(self, size: int) -> bytes:
        taken, self._payload = self._payload[:size], self._payload[size:]
        assert len(taken) == size
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def text(self) -> bytes:
        return self.take(self.number(2))

    def head(self) -> Head:
        root, flags, mode, path = self.number(1), self.number(1), self.number(2), self.text()
        guard = Guard(self.take(1), self.take(32)) if flags & 2 else None
        return Head(root, path, mode, bool(flags & 1), guard)

    def ended(self) -> bool:
        return not self._payload


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


@given(replies.map(encode), st.data())
def test_a_changed_reply_is_another_or_an_error(frame: bytes, data: st.DataObject) -> None:
    changed = bytearray(frame)
    for place in data.draw(st.lists(st.integers(4, len(frame) - 1), min_size=1, max_size=8)):
        changed[place] = data.draw(st.integers(0, 255))
    cut = bytes(changed[5 : 5 + data.draw(st.integers(0, len(frame)))])
    try:
        complete, rest = protocol.parse(len(cut).to_bytes(4, "little") + changed[4:5] + cut)
    except ProtocolError:
        return
    assert (len(complete), rest) == (1, b"")


def test_oversized_frame_is_refused_before_it_is_complete() -> None:
    with pytest.raises(ProtocolError, match="does not speak"):
        protocol.parse(b"HTTP/1.1 400 Bad Request\r\n")


@given(st.binary(max_size=300), st.integers(0, 255), st.integers(0, 0o777), st.booleans())
def test_check_size_is_what_a_path_adds(path: bytes, root: int, mode: int, exact: bool) -> None:
    expected = Expected(Head(root, path, mode, exact), b"f", 2**40, bytes(32))
    one = protocol.check(1, [expected])
    assert len(protocol.check(1, [expected, expected])) - len(one) == protocol.check_size(expected)


@given(st.integers(0, 255), paths)
def test_look_size_is_what_a_path_adds(root: int, path: bytes) -> None:
    one = protocol.look(1, [(root, path)])
    assert len(protocol.look(1, [(root, path), (root, path)])) - len(one) == protocol.look_size((root, path))


@given(heads)
def test_the_head_of_an_operation_carries_its_guard(head: Head) -> None:
    fields = Fields(protocol.delete(head), 0x09)
    assert fields.head() == head
    assert fields.ended()


@given(heads, paths, digests)
def test_a_guard_is_followed_by_what_the_operation_adds(head: Head, other: bytes, digest: bytes) -> None:
    link, rename = Fields(protocol.link(head, other), 0x08), Fields(protocol.rename(head, other, digest), 0x0A)
    assert (link.head(), link.text(), link.ended()) == (head, other, True)
    assert (rename.head(), rename.text(), rename.take(32), rename.ended()) == (head, other, digest, True)


@given(u32, st.lists(st.tuples(u8, paths), max_size=5))
def test_look_carries_all_paths(id: int, asked: list[tuple[int, bytes]]) -> None:
    fields = Fields(protocol.look(id, asked), 0x0E)
    assert fields.number(4) == id
    assert [fields.head() for _ in asked] == [Head(root, path) for root, path in asked]
    assert fields.ended()


@given(u32, u8, paths, st.booleans())
def test_list_carries_folder_and_watch(id: int, root: int, path: bytes, watch: bool) -> None:
    fields = Fields(protocol.list_folder(id, root, path, watch=watch), 0x0F)
    assert (fields.number(4), fields.number(1), fields.head()) == (id, int(watch), Head(root, path))
    assert fields.ended()


@given(u32, u8, paths, u64, u32)
def test_read_carries_the_part(id: int, root: int, path: bytes, offset: int, size: int) -> None:
    fields = Fields(protocol.read(id, root, path, offset, size), 0x10)
    assert (fields.number(4), fields.head()) == (id, Head(root, path))
    assert (fields.number(8), fields.number(4), fields.ended()) == (offset, size, True)


@given(u32, u8)
def test_signal_carries_the_number(id: int, number: int) -> None:
    fields = Fields(protocol.signal(id, number), 0x11)
    assert (fields.number(4), fields.number(1), fields.ended()) == (id, number, True)


@given(st.binary(max_size=protocol.CHUNK))
def test_a_file_is_begin_data_end(content: bytes) -> None:
    head = Head(3, b"a/b", 0o644)
    frames = protocol.file(head, content, bytes(32))
    assert frames == protocol.file_begin(head) + protocol.file_data(content) + protocol.file_end(bytes(32))
    assert max(len(protocol.file_begin(head)), len(content) + 5) <= protocol.MAX_PAYLOAD
