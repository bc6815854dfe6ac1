"""Calls back at each instant of a schedule, to a few microseconds.

Rule: instants are absolute and never move; after a stall, what is overdue is released at once, in order, and the
callback decides what lateness means. The kernel's timer is used because uvloop's own timers count milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CLOCK_MONOTONIC = time.CLOCK_MONOTONIC
_TFD_NONBLOCK, _TFD_CLOEXEC, _TFD_TIMER_ABSTIME = os.O_NONBLOCK, os.O_CLOEXEC, 1
_BILLION = 1_000_000_000
_BURST_MAX = 16
"""Most releases in a row before the event loop gets its turn: what they wrote goes out then, and answers come in."""


class _Timerspec(ctypes.Structure):
    """`struct itimerspec`: the interval of repetition (unused), then the first expiry."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


# PyDLL keeps the GIL: neither call blocks, and giving the GIL away here would cost another thread's whole turn.
_LIBC = ctypes.PyDLL(None, use_errno=True)


class KernelTimer:
    """A one-shot timer on CLOCK_MONOTONIC that makes a file descriptor readable (timerfd_create(2))."""

    def __init__(self) -> None:
        self.descriptor = _LIBC.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = _Timerspec()
        self._reference = ctypes.byref(self._spec)

    def arm(self, at_ns: int) -> None:
        """Expire at `at_ns` of `time.monotonic_ns()`; at once if that is past."""
        self._spec.value_s, self._spec.value_ns = divmod(at_ns, _BILLION)
        if _LIBC.timerfd_settime(self.descriptor, _TFD_TIMER_ABSTIME, self._reference, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def acknowledge(self) -> None:
        """Make the descriptor unreadable until the next expiry."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, 8)

    def close(self) -> None:
        """Release the descriptor."""
        os.close(self.descriptor)


class Pacer:
    """Calls `release(index)` once `due_ns[index]` has come, for every index in order."""

    def __init__(self, due_ns: Sequence[int], release: Callable[[int], None]) -> None:
        self._due_ns = due_ns
        self._release = release
        self._next = 0

    async def run(self, stop: asyncio.Event) -> int:
        """Keep the schedule to its end or until `stop` is set; returns how many were released.

        Raises what `release` raises.
        """
        loop, timer = asyncio.get_running_loop(), KernelTimer()
        ended: asyncio.Future[None] = loop.create_future()
        stopping = loop.create_task(stop.wait())
        loop.add_reader(timer.descriptor, self._expired, timer, ended)
        try:
            self._continue(timer, ended)
            await asyncio.wait((ended, stopping), return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                ended.result()
        finally:
            loop.remove_reader(timer.descriptor)
            stopping.cancel()
            timer.close()
        return self._next

    def _expired(self, timer: KernelTimer, ended: asyncio.Future[None]) -> None:
        timer.acknowledge()
        if ended.done():
            return
        try:
            self._release_due()
            self._continue(timer, ended)
        except Exception as error:  # noqa: BLE001 - a callback of the loop must hand its error to whoever waits
            ended.set_exception(error)

    def _release_due(self) -> None:
        index, due_ns, release = self._next, self._due_ns, self._release
        last = min(index + _BURST_MAX, len(due_ns))
        while index < last and due_ns[index] <= time.monotonic_ns():
            release(index)
            index += 1
        self._next = index

    def _continue(self, timer: KernelTimer, ended: asyncio.Future[None]) -> None:
        if self._next < len(self._due_ns):
            timer.arm(self._due_ns[self._next])
        else:
            ended.set_result(None)
