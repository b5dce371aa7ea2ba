"""Binding local ports, and telling who holds one that is taken."""

from __future__ import annotations

import errno
import os
import pwd
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from innerloop.errors import LoopError
from innerloop.project import PortForward

BACKLOG = 256
_PROC = Path("/proc")


def listen(address: str, port: int) -> socket.socket:
    """A listening socket, not blocking. Raises LoopError that says by whom the port is taken."""
    try:
        family, kind, protocol, _, name = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise LoopError(f"cannot listen on {address}: it is no address of this machine", detail=str(error)) from error
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setblocking(False)
        opened.bind(name)
        opened.listen(BACKLOG)
    except OSError as error:
        opened.close()
        raise _refused(error, str(name[0]), port) from error
    return opened


def check_free(ports: Iterable[PortForward]) -> None:
    """Raises LoopError, as ``listen`` does, when one of the local ports cannot be had now."""
    for port in ports:
        listen(port.address, port.local).close()


class TcpSocket(NamedTuple):
    """A row of /proc/net/tcp."""

    address: str
    port: int
    state: str
    uid: int
    inode: int


LISTENING = "0A"


def holder_of(address: str, port: int) -> str:
    """Who listens on a port: command and process id, at least the user; empty when it cannot be told."""
    rows = [row for row in tcp_sockets() if row.state == LISTENING and row.port == port]
    everywhere = ("0.0.0.0", "::", address)
    row = next((row for row in rows if row.address in everywhere), rows[0] if rows else None)
    if row is None:
        return ""
    pid = _process_with(row.inode)
    return f"{_command(pid)} (process {pid})" if pid else f"a process of user {_user(row.uid)}"


def tcp_sockets() -> Iterator[TcpSocket]:
    """The TCP sockets of this network namespace (Linux; elsewhere none), see proc_pid_net(5)."""
    for name in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "self/net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            address, _, port = fields[1].partition(":")
            yield TcpSocket(_address(address), int(port, 16), fields[3], int(fields[7]), int(fields[9]))


def _address(text: str) -> str:
    # 32-bit words, each in the machine's byte order
    words = bytes.fromhex(text)
    packed = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
    if packed.startswith(b"\0" * 10 + b"\xff\xff"):
        packed = packed[12:]
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _process_with(inode: int) -> int:
    """A process that has a socket open, 0 when there is none that we may look into."""
    wanted = f"socket:[{inode}]"
    for folder in _PROC.glob("[0-9]*/fd"):
        try:
            with os.scandir(folder) as entries:
                if any(_target(entry.path) == wanted for entry in entries):
                    return int(folder.parent.name)
        except OSError:
            continue
    return 0


def _target(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _command(pid: int) -> str:
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "a program"
    text = " ".join(word for word in words if word)
    return text if len(text) <= 100 else f"{text[:99]}…"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _refused(error: OSError, address: str, port: int) -> LoopError:
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(address, port)
        return LoopError(
            f"port {port} on {address} is in use" + (f" by {holder}" if holder else ""),
            hint="end that program, or choose another local port",
        )
    if error.errno == errno.EACCES:
        hint = "choose a local port from 1024 on"
        return LoopError(f"no right to listen on port {port} of {address}", hint=hint)
    if error.errno == errno.EADDRNOTAVAIL:
        return LoopError(f"cannot listen on {address}: it is no address of this machine")
    return LoopError(f"cannot listen on port {port} of {address}", detail=error.strerror)
