"""An event loop whose time passes only when nothing is left to do, so that delays are exact and cost nothing."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")
LIMIT_S = 10_000


class _Selector(selectors.DefaultSelector):  # type: ignore[misc,valid-type] # the platform's own
    pass_time: Callable[[float], None]

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("the test waits for something that will never come")
        self.pass_time(timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """`spend` lets time pass as work does: without any timer going off meanwhile."""

    def __init__(self) -> None:
        selector = _Selector()
        super().__init__(selector)
        self._virtual_s = 0.0
        selector.pass_time = self.spend

    def time(self) -> float:
        return self._virtual_s

    def spend(self, seconds: float) -> None:
        self._virtual_s += max(0.0, seconds)


def run(task: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """The result of `task` on a loop of its own."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(asyncio.wait_for(task(loop), LIMIT_S))
    finally:
        loop.close()
