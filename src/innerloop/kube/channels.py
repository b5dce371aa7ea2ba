"""Framing of exec, attach and port-forward over WebSocket, as functions over bytes.

Every binary message is one channel byte followed by data. The protocol's versions are WebSocket subprotocols:

``v4.channel.k8s.io``
    exec and attach: channels 0 stdin, 1 stdout, 2 stderr, 3 error, 4 resize. At the end the server writes one
    JSON ``Status`` to the error channel. Port-forward: channel 2n carries the data of the n-th port, 2n+1 its
    error text; the server opens both by writing the port, two bytes, little endian.
``v5.channel.k8s.io`` (exec and attach, Kubernetes 1.29, on by default since 1.30, KEP-4006)
    the same, and a message ``255, channel`` ends the client's side of one channel. Without it there is no end
    of input short of closing everything.

Sources: ``k8s.io/streaming/pkg/httpstream/wsstream/conn.go``, ``k8s.io/cri-streaming/pkg/streaming/portforward/
websocket.go``, ``k8s.io/client-go/tools/remotecommand`` (1.36).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import msgspec

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
_CLOSE = 255

EXEC_V5 = "v5.channel.k8s.io"
EXEC_V4 = "v4.channel.k8s.io"
PORT_FORWARD_V4 = "v4.channel.k8s.io"

MAX_DATA = 64 * 1024
"""Most bytes of data in a message that we send.

The API server, kubelet and CRI runtimes read a message whole into memory before they look at it, and drop the
connection above 32 MiB (``golang.org/x/net/websocket``: DefaultMaxPayloadBytes). One message blocks all other
channels until its last byte is taken, so small is better for the terminal; throughput hardly grows beyond 64 KiB
(measured on the built-in node: 17 MB/s at 4 KiB, 45 at 32, 50 at 64, 60 at 256).
"""


class Status(NamedTuple):
    """How a command ended."""

    exit_code: int | None
    """None: the command did not run, or its end is not known; then ``message`` says why."""
    message: str = ""
    reason: str = ""
    code: int = 0
    """HTTP status that goes with a failure, 0 when there is none."""


def messages(channel: int, data: bytes) -> Iterator[bytes]:
    """The messages that carry ``data``, none for no data."""
    prefix = bytes((channel,))
    if len(data) <= MAX_DATA:
        if data:
            yield prefix + data
        return
    view = memoryview(data)
    for start in range(0, len(view), MAX_DATA):
        yield prefix + view[start : start + MAX_DATA]


def split_message(message: bytes) -> tuple[int, bytes]:
    """Channel and data of a received message.

    An empty message belongs to no channel and counts as empty output.
    """
    return (message[0], message[1:]) if message else (STDOUT, b"")


def close_message(channel: int) -> bytes:
    """Ends our side of a channel; only servers that agreed on ``v5.channel.k8s.io`` understand it."""
    return bytes((_CLOSE, channel))


def resize_message(columns: int, rows: int) -> bytes:
    """Tells the new size of the terminal, in characters (``TerminalSize``: 16 bits each)."""
    size = {"Width": min(columns, 65535), "Height": min(rows, 65535)}
    return bytes((RESIZE,)) + msgspec.json.encode(size)


def parse_status(payload: bytes) -> Status:
    """What the error channel said at the end of exec or attach.

    Servers before v4 wrote plain text instead of a Status object; so does the API server when the connection
    to the node breaks.
    """
    try:
        body = msgspec.json.decode(payload)
    except msgspec.DecodeError:
        body = None
    if not isinstance(body, dict):
        return Status(None, payload.decode(errors="replace").strip())
    if body.get("status") == "Success":
        return Status(0)
    message, reason = str(body.get("message") or ""), str(body.get("reason") or "")
    exit_code = _exit_code(body) if reason == "NonZeroExitCode" else None
    code = body.get("code")
    return Status(exit_code, message, reason, code if isinstance(code, int) else 0)


def _exit_code(body: dict[str, Any]) -> int | None:
    details = body.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    for cause in causes if isinstance(causes, list) else ():
        if isinstance(cause, dict) and cause.get("reason") == "ExitCode":
            text = str(cause.get("message", ""))
            return int(text) if re.fullmatch(r"-?[0-9]{1,10}", text) else None
    return None


class PortChannels:
    """The receiving side of one forwarded port: takes messages, gives data and errors.

    The two port bytes that open each channel are removed, however the server cuts its messages.
    """

    def __init__(self) -> None:
        self._headers = {0: 2, 1: 2}

    def feed(self, message: bytes) -> tuple[Literal["data", "error"], bytes]:
        """What a message brought; the bytes may be empty."""
        channel, data = split_message(message) if message else (0, b"")
        header = self._headers.get(channel)
        if header:
            self._headers[channel] = header - min(header, len(data))
            data = data[header:]
        return ("error" if channel == 1 else "data"), (data if channel in (0, 1) else b"")
