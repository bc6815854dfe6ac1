"""Runs a sampler beside the collection, on a thread of its own.

Rule: a sampler that dies is told: what it left is not evidence of the time after its death.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from harness.collectors import CollectError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STOP_LIMIT_S = 5.0


class Sampling:
    """How a sampler fares."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def require_whole(self) -> None:
        """Raise CollectError when the sampler died."""
        if self.error is not None:
            raise CollectError(f"sampling ended early: {type(self.error).__name__}: {self.error}") from self.error


@contextlib.contextmanager
def sampled(name: str, sample_until: Callable[[threading.Event], None]) -> Iterator[Sampling]:
    """Run `sample_until(stop)` on a thread called `name` until the block ends."""
    stop, sampling = threading.Event(), Sampling()

    def body() -> None:
        try:
            sample_until(stop)
        except Exception as error:  # noqa: BLE001 - kept for the collector, which must not take the samples for whole
            sampling.error = error

    thread = threading.Thread(target=body, name=name, daemon=True)
    thread.start()
    try:
        yield sampling
    finally:
        stop.set()
        thread.join(timeout=STOP_LIMIT_S)
