"""Linux' inotify(7), one instance per event loop, however many watches share it.

The system allows few instances per user (128 unless raised), and a folder watched by two instances counts twice.
"""

from __future__ import annotations

import array
import asyncio
import ctypes
import errno
import fcntl
import os
import struct
import termios
import weakref
from collections.abc import Iterator
from typing import Protocol

from innerloop.errors import LoopError

ATTRIB = 0x4
CLOSE_WRITE = 0x8
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
DELETE_SELF = 0x400
MOVE_SELF = 0x800
UNMOUNT = 0x2000
OVERFLOW = 0x4000
IGNORED = 0x8000
FOLDER = 0x40000000

_ONLY_FOLDERS = 0x1000000
_DONT_FOLLOW = 0x2000000
_EXCLUDE_UNLINKED = 0x4000000
_MASK_ADD = 0x20000000
_ITSELF = DELETE_SELF | MOVE_SELF
_MASK = ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | _ITSELF | _ONLY_FOLDERS | _EXCLUDE_UNLINKED
_EVENT = struct.Struct("iIII")
_BUFFER = 256 * 1024

_libc = ctypes.CDLL(None, use_errno=True)


class Listener(Protocol):
    def take(self, folder: str, mask: int, name: str) -> None:
        """An event of a folder that the listener added; ``name`` is empty for the folder itself."""

    def ended(self, folder: str, watch: int) -> None:
        """The system ended a watch: the folder is gone."""

    def overflowed(self) -> None:
        """Events were lost."""

    def flush(self) -> None:
        """All events that were there have been taken."""


class Inotify:
    """The instance of an event loop; open as long as something is watched."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._fd = -1
        self._places: dict[int, set[tuple[Listener, str]]] = {}
        self._listeners: dict[Listener, int] = {}

    def add(self, listener: Listener, folder: str, *, only_itself: bool = False, follow: bool = True) -> int | None:
        """Watch a folder, again or for the first time; None when it is not there or may not be read.

        ``only_itself``: whether it is moved or removed, not what happens in it. ``follow``: it may be a link to one.
        Raises LoopError when a limit of the system is reached.
        """
        if self._fd < 0:
            self._open()
        mask = _ITSELF | _ONLY_FOLDERS | _MASK_ADD if only_itself else _MASK
        mask |= 0 if follow else _DONT_FOLLOW
        watch: int = _libc.inotify_add_watch(self._fd, os.fsencode(folder), mask)
        if watch < 0:
            self._close_unused()
            if ctypes.get_errno() == errno.ENOSPC:
                raise _limit("max_user_watches")
            return None
        place = (listener, folder)
        places = self._places.setdefault(watch, set())
        if place not in places:
            places.add(place)
            self._listeners[listener] = self._listeners.get(listener, 0) + 1
        return watch

    def remove(self, listener: Listener, folder: str, watch: int) -> None:
        """Stop watching a folder."""
        places = self._places.get(watch, set())
        if (listener, folder) not in places:
            return
        places.remove((listener, folder))
        self._release(listener)
        if not places:
            del self._places[watch]
            if self._fd >= 0:
                _libc.inotify_rm_watch(self._fd, watch)
        self._close_unused()

    def read_all(self) -> None:
        """Deliver now what the system has queued until now: it tells in the order of the changes, at once."""
        if self._fd >= 0:
            queued = array.array("i", [0])
            fcntl.ioctl(self._fd, termios.FIONREAD, queued)
            self._read(queued[0])

    def _open(self) -> None:
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            if ctypes.get_errno() == errno.EMFILE:
                raise _limit("max_user_instances")
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._loop.add_reader(self._fd, self._read)

    def _close_unused(self) -> None:
        if self._fd >= 0 and not self._places:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _release(self, listener: Listener) -> None:
        self._listeners[listener] -= 1
        if not self._listeners[listener]:
            del self._listeners[listener]

    def _read(self, size: int = 0) -> None:
        try:
            data = os.read(self._fd, max(size, _BUFFER))
        except BlockingIOError:
            return
        touched: dict[Listener, None] = {}
        for watch, mask, name in _events(data):
            if mask & OVERFLOW:
                for listener in list(self._listeners):
                    touched[listener] = None
                    listener.overflowed()
            elif mask & IGNORED:
                for listener, folder in self._places.pop(watch, ()):
                    self._release(listener)
                    listener.ended(folder, watch)
            else:
                # taking one may end or add watches
                for listener, folder in tuple(self._places.get(watch, ())):
                    touched[listener] = None
                    listener.take(folder, mask, name)
        for listener in touched:
            listener.flush()


def _events(data: bytes) -> Iterator[tuple[int, int, str]]:
    """Watch, mask and name of what the kernel wrote: ``struct inotify_event``, each with a name padded by zeros."""
    at = 0
    while at < len(data):
        watch, mask, _, size = _EVENT.unpack_from(data, at)
        start = at + _EVENT.size
        at = start + size
        yield watch, mask, os.fsdecode(data[start:at].rstrip(b"\0"))


def instance() -> Inotify:
    """The running event loop's."""
    loop = asyncio.get_running_loop()
    return _instances.setdefault(loop, Inotify(loop))


_instances: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Inotify] = weakref.WeakKeyDictionary()


def _limit(name: str) -> LoopError:
    try:
        with open(f"/proc/sys/fs/inotify/{name}") as file:
            value = int(file.read())
    except (OSError, ValueError):
        value = 0
    larger = max(4 * value, 512 if name == "max_user_instances" else 524288)
    return LoopError(
        f"the system lets us watch no more files: fs.inotify.{name} is {value}",
        detail="other programs of the same user (editors, file managers) count, too",
        hint=f"raise it: sudo sysctl fs.inotify.{name}={larger}",
    )
