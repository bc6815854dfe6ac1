"""What one worker is to send, position by position: when, which message of the pool, and under which number.

Rule: pure, and compact: sixteen bytes a request, read without making objects of the whole.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.load.schedule import Schedule
    from harness.load.spec import LoadSpec


@dataclass(frozen=True, slots=True)
class Work:
    """`due_ns` are instants of `time.monotonic_ns()`; request i has the id `first_id + i * step`."""

    due_ns: array[int]
    message: array[int]
    first_id: int
    step: int

    def __len__(self) -> int:
        return len(self.due_ns)

    def ids(self, index: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The request ids of these positions."""
        return np.uint64(self.first_id) + index.astype(np.uint64) * np.uint64(self.step)


def work_of(
    spec: LoadSpec, plan: Schedule, messages: NDArray[np.int64], start_ns: int, *, worker: int = 0, workers: int = 1
) -> Work:
    """The work of `worker`: its schedule `plan` has its zero at `start_ns`, its request i sends `messages[i]`."""
    due_ns = plan.intended_ns + start_ns
    return Work(
        array("q", due_ns.astype(np.int64).tobytes()),
        array("q", messages.astype(np.int64).tobytes()),
        spec.request_id(worker),
        workers,
    )
