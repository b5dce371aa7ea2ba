"""Framing of exec, attach and port-forward: what is cut apart comes together again."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from innerloop.kube.channels import (
    ERROR,
    MAX_DATA,
    RESIZE,
    STDIN,
    STDOUT,
    PortChannels,
    Status,
    close_message,
    messages,
    parse_status,
    resize_message,
    split_message,
)

BIG = st.integers(0, 3 * MAX_DATA + 7).map(lambda size: bytes(i % 251 for i in range(size)))


@settings(deadline=None)
@given(st.integers(0, 254), st.binary() | BIG)
def test_data_survives_being_split(channel: int, data: bytes) -> None:
    parts = [split_message(message) for message in messages(channel, data)]
    assert b"".join(part for _, part in parts) == data
    assert {number for number, _ in parts} <= {channel}


@settings(deadline=None)
@given(BIG)
def test_no_message_is_longer_than_allowed(data: bytes) -> None:
    assert all(2 <= len(message) <= MAX_DATA + 1 for message in messages(STDIN, data))


def test_no_data_sends_nothing() -> None:
    assert list(messages(STDIN, b"")) == []


def test_empty_message_is_empty_output() -> None:
    assert split_message(b"") == (STDOUT, b"")


def test_close_names_the_channel() -> None:
    assert close_message(STDIN) == b"\xff\x00"


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_resize_stays_within_sixteen_bits(columns: int, rows: int) -> None:
    channel, payload = split_message(resize_message(columns, rows))
    size = json.loads(payload)
    assert channel == RESIZE
    assert size == {"Width": min(columns, 65535), "Height": min(rows, 65535)}


def test_success_is_exit_code_zero() -> None:
    assert parse_status(b'{"metadata":{},"status":"Success"}') == Status(0)


@settings(deadline=None)
@given(st.integers(1, 255))
def test_exit_code_comes_from_the_causes(code: int) -> None:
    payload = {
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": "command terminated with non-zero exit code",
        "details": {"causes": [{"reason": "Other", "message": "x"}, {"reason": "ExitCode", "message": str(code)}]},
    }
    assert parse_status(json.dumps(payload).encode()).exit_code == code


def test_failure_without_exit_code_keeps_words_and_status() -> None:
    payload = b'{"status":"Failure","reason":"InternalError","message":"no such container","code":500}'
    assert parse_status(payload) == Status(None, "no such container", "InternalError", 500)


def test_plain_text_is_a_failure_with_that_text() -> None:
    assert parse_status(b"container is gone\n") == Status(None, "container is gone")


@pytest.mark.parametrize(
    "causes", [None, [], ["x"], [{"reason": "ExitCode", "message": "many"}], {"reason": "ExitCode"}]
)
def test_broken_causes_are_no_exit_code(causes: object) -> None:
    payload = {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}
    assert parse_status(json.dumps(payload).encode()).exit_code is None


@settings(deadline=None)
@given(st.binary())
def test_any_error_payload_is_understood_somehow(payload: bytes) -> None:
    assert isinstance(parse_status(payload), Status)


@settings(deadline=None)
@given(st.integers(1, 65535), st.lists(st.binary()), st.lists(st.integers(0, 40)))
def test_port_bytes_are_removed_wherever_messages_are_cut(port: int, chunks: list[bytes], cuts: list[int]) -> None:
    stream = port.to_bytes(2, "little") + b"".join(chunks)
    channels, received = PortChannels(), b""
    for start, end in _ranges(cuts, len(stream)):
        kind, data = channels.feed(b"\x00" + stream[start:end])
        assert kind == "data"
        received += data
    assert received == b"".join(chunks)


def test_port_channels_are_opened_one_by_one() -> None:
    channels = PortChannels()
    assert channels.feed(b"\x00\x50\x00") == ("data", b"")
    assert channels.feed(b"\x00hello") == ("data", b"hello")
    assert channels.feed(b"\x01\x50\x00") == ("error", b"")
    assert channels.feed(b"\x01refused") == ("error", b"refused")


@settings(deadline=None)
@given(st.integers(2, 255), st.binary())
def test_unknown_port_channel_brings_nothing(channel: int, data: bytes) -> None:
    assert PortChannels().feed(bytes((channel,)) + data) == ("data", b"")


def test_error_channel_number_is_what_kubernetes_uses() -> None:
    assert ERROR == 3


def _ranges(cuts: list[int], length: int) -> list[tuple[int, int]]:
    points = sorted({0, length, *(cut for cut in cuts if cut < length)})
    return list(itertools.pairwise(points))
