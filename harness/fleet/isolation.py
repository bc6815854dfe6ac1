"""Makes the processes of a zone deaf: the kernel drops every packet that reaches the sockets they serve on.

Rule: Linux only, no privilege beyond being their parent. Each socket is borrowed by pidfd_getfd(2), given a filter that
drops all (`SO_ATTACH_FILTER`, socket(7)), and handed back at once: a socket still held here would outlive its owner's
closing it. Listeners come first, because what they accept later inherits their filter. What the zone sends still
leaves, until it misses the acknowledgements. Where the kernel refuses, nothing is changed.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PIDFD_GETFD = 438
"""Its number in all architectures' tables of system calls."""
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
"""From asm-generic/socket.h; reading the first one back is SO_GET_FILTER."""
DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
"""One instruction of classic BPF: return 0 bytes of the packet (linux/filter.h)."""
PASSES = 3
PASS_PAUSE_S = 0.02
"""A connection may wait to be accepted while the others are filtered; it has a descriptor a moment later."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


_FILTER = bytes(_Program(1, ctypes.addressof(DROP_ALL)))
_LIBC = ctypes.CDLL(None, use_errno=True)


def isolate(pids: Iterable[int], ports: Iterable[int]) -> int:
    """Make these processes deaf on these ports; returns how many sockets are. Raises OSError, then none is."""
    known_pids, known_ports = tuple(pids), frozenset(ports)
    try:
        counts = []
        for _ in range(PASSES):
            counts.append(_each(known_pids, known_ports, _deafen))
            time.sleep(PASS_PAUSE_S)
    except OSError:
        with contextlib.suppress(OSError):
            rejoin(known_pids, known_ports)
        raise
    return counts[-1]


def rejoin(pids: Iterable[int], ports: Iterable[int]) -> None:
    """Let these processes hear again; nothing happens to those that do. Raises OSError."""
    _each(tuple(pids), frozenset(ports), _undeafen)


def is_isolated(pid: int, ports: Iterable[int]) -> bool:
    """Whether the kernel has such a filter on any listening socket of `pid`; False for one that is gone."""
    with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
        borrowed = [opened.enter_context(found) for found in _sockets(pid, frozenset(ports))]
        return any(_is_listening(item) and _is_deaf(item) for item in borrowed)
    return False


def _each(pids: tuple[int, ...], ports: frozenset[int], change: Callable[[socket.socket], None]) -> int:
    count = 0
    with contextlib.ExitStack() as opened:
        borrowed = [opened.enter_context(item) for pid in pids for item in _sockets(pid, ports)]
        for item in sorted(borrowed, key=_is_listening, reverse=True):
            change(item)
            count += 1
    return count


def _deafen(borrowed: socket.socket) -> None:
    if not _is_deaf(borrowed):
        borrowed.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, _FILTER)


def _undeafen(borrowed: socket.socket) -> None:
    if _is_deaf(borrowed):
        borrowed.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


def _is_deaf(borrowed: socket.socket) -> bool:
    return bool(borrowed.getsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, len(_FILTER)))


def _is_listening(borrowed: socket.socket) -> bool:
    return bool(borrowed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _sockets(pid: int, ports: frozenset[int]) -> Iterator[socket.socket]:
    """The TCP sockets of `pid` whose own port is one of `ports`, borrowed; close them."""
    pidfd = os.pidfd_open(pid)
    try:
        for number in _socket_numbers(pid):
            borrowed = _borrow(pidfd, number)
            if borrowed is not None and _is_tcp_at(borrowed, ports):
                yield borrowed
            elif borrowed is not None:
                borrowed.close()
    finally:
        os.close(pidfd)


def _socket_numbers(pid: int) -> list[int]:
    numbers = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed between two looks
            if str(link.readlink()).startswith("socket:"):
                numbers.append(int(link.name))
    return numbers


def _borrow(pidfd: int, number: int) -> socket.socket | None:
    """A socket of ours that is the same as descriptor `number` there; None if it is closed meanwhile."""
    descriptor = _LIBC.syscall(PIDFD_GETFD, pidfd, number, 0)
    if descriptor >= 0:
        return socket.socket(fileno=descriptor)
    refused = ctypes.get_errno()
    if refused == errno.EBADF:
        return None
    raise OSError(refused, f"pidfd_getfd: {os.strerror(refused)}")


def _is_tcp_at(borrowed: socket.socket, ports: frozenset[int]) -> bool:
    is_tcp = borrowed.family in {socket.AF_INET, socket.AF_INET6} and borrowed.type == socket.SOCK_STREAM
    return is_tcp and borrowed.getsockname()[1] in ports
