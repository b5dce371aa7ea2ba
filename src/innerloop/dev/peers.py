"""Whether the program at the other end of a local connection is gone, or has only ended what it says.

Both look the same to TCP: the end of data. The kernel knows whether any process still has the other socket open, and
tells of one socket by sock_diag(7) in microseconds; /proc/net/tcp would take milliseconds.
"""

from __future__ import annotations

import socket
import struct
import sys

_SOCK_DIAG = 4
_BY_FAMILY = 20
_REQUEST = 1
_ERROR = 2
_ANY_COOKIE = b"\xff" * 8
_INODE_AT = 84
"""In the answer: struct nlmsghdr, then idiag_inode of struct inet_diag_msg (linux/inet_diag.h)."""


def has_left(connection: socket.socket) -> bool | None:
    """Whether the program at the other end of a connection has closed its socket for good.

    None when it cannot be told: a client on another machine, another system than Linux, no such kernel module.
    """
    try:
        peer, own = connection.getpeername(), connection.getsockname()
    except OSError:
        return True
    if sys.platform != "linux" or peer[0] != own[0]:
        return None
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
            kernel.settimeout(0.1)
            # a kernel that cannot tell of our own end knows nothing of the other either
            if not _inode(kernel, connection.family, own, peer):
                return None
            return not _inode(kernel, connection.family, peer, own)
    except OSError:
        return None


def _inode(kernel: socket.socket, family: int, source: tuple[str, int], target: tuple[str, int]) -> int:
    """The inode of the socket at ``source``, 0 when no process has it open."""
    kernel.send(_request(family, source, target))
    answer = kernel.recv(4096)
    kind = struct.unpack_from("=H", answer, 4)[0]
    if kind == _ERROR or len(answer) < _INODE_AT + 4:
        return 0
    return int.from_bytes(answer[_INODE_AT : _INODE_AT + 4], sys.byteorder)


def _request(family: int, source: tuple[str, int], target: tuple[str, int]) -> bytes:
    addresses = b"".join(socket.inet_pton(family, end[0]).ljust(16, b"\0") for end in (source, target))
    ends = struct.pack(">HH", source[1], target[1]) + addresses + bytes(4) + _ANY_COOKIE
    body = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF) + ends
    return struct.pack("=IHHII", 16 + len(body), _BY_FAMILY, _REQUEST, 0, 0) + body
