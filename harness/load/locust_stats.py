"""Counts a load's requests in Locust's own statistics, batch by batch.

Rule: Locust's pages, CSV, HTML and console show what the ledger holds, at a cost that does not grow with the rate: one
merge of a finished entry, as Locust itself merges what its workers report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from grpc import StatusCode
from locust.stats import StatsEntry, StatsError

from harness.load.recorder import NEVER
from harness.model import Status

if TYPE_CHECKING:
    from locust.stats import RequestStats
    from numpy.typing import NDArray

    from harness.load.recorder import Batch

STATUS_NAMES = {code.value[0]: code.name for code in StatusCode} | {
    Status.OPEN_AT_CUTOFF: "open at cut-off",
    Status.CAP_FULL: "not sent: too many open requests",
    Status.GENERATOR_LATE: "not sent: the generator fell behind",
}


def count(stats: RequestStats, batch: Batch, *, method: str, name: str, epoch_ns: int) -> None:
    """Add `batch` to the entry (`name`, `method`) and to the total; `epoch_ns` is the run's zero since 1970.

    What was never answered has no response time here, and counts as failed.
    """
    entry = StatsEntry(stats, name, method)
    done = batch.done_ns != NEVER
    times_ms = (batch.done_ns - batch.intended_ns)[done] / 1e6
    failed = batch.status != Status.OK
    seconds = (np.where(done, batch.done_ns, batch.intended_ns) + epoch_ns) // 1_000_000_000
    entry.num_requests, entry.num_failures = len(done), int(failed.sum())
    entry.num_none_requests = int((~done).sum())
    entry.total_content_length = int(batch.response_bytes.sum())
    entry.num_reqs_per_sec, entry.num_fail_per_sec = _tally(seconds), _tally(seconds[failed])
    entry.last_request_timestamp = float(seconds.max())
    if len(times_ms):
        entry.total_response_time = float(times_ms.sum())  # type: ignore[assignment]  # Locust counts with floats too
        entry.min_response_time = float(times_ms.min())  # type: ignore[assignment]  # the same
        entry.max_response_time = float(times_ms.max())  # type: ignore[assignment]  # the same
        entry.response_times = _tally(rounded(times_ms))
    stats.entries[(name, method)].extend(entry)
    stats.total.extend(entry)
    for status, occurrences in _tally(batch.status[failed]).items():
        _count_error(stats, method, name, STATUS_NAMES.get(status, str(status)), occurrences)


def rounded(times_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """To three digits, and to 0.1 ms below 100 ms: Locust's own two digits hide what is looked for."""
    digits = np.clip(np.floor(np.log10(np.maximum(times_ms, 0.1))), 1, None) - 2
    unit = 10.0**digits
    return np.round(np.round(times_ms / unit) * unit, 1)


def _tally(values: NDArray[Any]) -> dict[Any, int]:
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _count_error(stats: RequestStats, method: str, name: str, text: str, occurrences: int) -> None:
    key = StatsError.create_key(method, name, text)
    if key not in stats.errors:
        stats.errors[key] = StatsError(method, name, text)
    stats.errors[key].occurrences += occurrences
