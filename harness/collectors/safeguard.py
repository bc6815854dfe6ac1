"""Watches, while an experiment runs, how many requests of its load have failed, and says when that is enough.

Rule: it reads the stream that the load writes, up to its last whole batch, and counts no batch twice. What can't be
read yet counts as nothing: a safeguard that sees nothing ends nothing, and the judge sees the whole ledger later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from harness.load.streams import next_batch, worker_stream
from harness.model import Status

if TYPE_CHECKING:
    from pathlib import Path

    from harness.load.spec import LoadSpec


class Safeguard:
    """Whether the load of `spec` has failed more than `failures_max` requests since it began."""

    def __init__(self, spec: LoadSpec, failures_max: float) -> None:
        self.failures_max = failures_max
        self._paths = [worker_stream(spec, worker) for worker in range(spec.workers)]
        self._batches = dict.fromkeys(self._paths, 0)
        self.failures = 0

    def spent(self) -> bool:
        """Read what is new; True once more requests failed than may."""
        for path in self._paths:
            self._read(path)
        return self.failures > self.failures_max

    def _read(self, path: Path) -> None:
        """Count the failures of the batches not seen yet; those seen are mapped and skipped, not read again."""
        try:
            with pa.memory_map(str(path)) as source:
                reader = pa.ipc.open_stream(source)
                number = 0
                while (item := next_batch(reader)) is not None:
                    number += 1
                    if number > self._batches[path]:
                        self._batches[path] = number
                        status = item.batch.column("status").to_numpy()
                        self.failures += int(np.sum((status != Status.OK) & (status != Status.GENERATOR_LATE)))
        except (OSError, pa.ArrowInvalid):
            return
