"""What Locust shows is what the ledger holds, counted batch by batch as Locust itself would have one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from locust.stats import RequestStats

from harness.load.locust_stats import STATUS_NAMES, count, rounded
from harness.load.recorder import NEVER, Batch
from harness.load.sender import NOBODY
from harness.model import Status

if TYPE_CHECKING:
    from numpy.typing import NDArray

EPOCH_NS = 1_700_000_000 * 10**9
SECOND_NS = 10**9


def a_batch(times_ms: NDArray[Any], status: NDArray[Any] | None = None) -> Batch:
    """Requests due every 10 ms; NaN is one that was never answered."""
    n = len(times_ms)
    intended = np.arange(n, dtype=np.int64) * 10_000_000
    done = np.where(np.isnan(times_ms), NEVER, intended + np.nan_to_num(times_ms * 1e6).astype(np.int64))
    zeros = np.zeros(n, np.int64)
    codes = np.zeros(n, np.int16) if status is None else status.astype(np.int16)
    sizes = np.full(n, 7, np.int32)
    return Batch(zeros.astype(np.uint64), intended, intended, done, codes, sizes, zeros, (NOBODY,))


def shown(batches: list[Batch]) -> RequestStats:
    stats = RequestStats()
    for batch in batches:
        count(stats, batch, method="grpc", name="Infer", epoch_ns=EPOCH_NS)
    return stats


def test_agrees_with_locust_counting_one_by_one() -> None:
    times_ms = np.random.default_rng(3).lognormal(2, 1, 500)
    one_by_one = RequestStats()
    for time_ms in times_ms:
        one_by_one.log_request("grpc", "Infer", time_ms, 7)
    ours = shown([a_batch(times_ms[:200]), a_batch(times_ms[200:])])
    for entry, theirs in ((ours.total, one_by_one.total), (ours.get("Infer", "grpc"), one_by_one.get("Infer", "grpc"))):
        assert (entry.num_requests, entry.num_failures, entry.total_content_length) == (500, 0, 3500)
        assert entry.avg_response_time == pytest.approx(theirs.avg_response_time, abs=1e-3)
        assert (entry.min_response_time, entry.max_response_time) == pytest.approx(
            (theirs.min_response_time, theirs.max_response_time), abs=1e-3
        )
        for percent in (0.5, 0.9, 0.99):
            exact = float(np.quantile(times_ms, percent, method="higher"))
            assert entry.get_response_time_percentile(percent) == pytest.approx(exact, rel=0.01)


def test_requests_per_second_are_counted_in_the_second_of_the_answer() -> None:
    entry = shown([a_batch(np.array([5.0, 1500.0, 5.0]))]).total
    assert dict(entry.num_reqs_per_sec) == {1_700_000_000: 2, 1_700_000_001: 1}
    assert entry.last_request_timestamp == 1_700_000_001


def test_what_was_never_answered_fails_and_has_no_response_time() -> None:
    status = np.array([0, Status.OPEN_AT_CUTOFF, Status.CAP_FULL, Status.GENERATOR_LATE, 14, 14])
    stats = shown([a_batch(np.array([5.0, np.nan, np.nan, np.nan, 3.0, 4.0]), status)])
    assert (stats.total.num_requests, stats.total.num_failures, stats.total.num_none_requests) == (6, 5, 3)
    errors = {error.error: error.occurrences for error in stats.errors.values()}
    assert errors == {
        "open at cut-off": 1,
        "not sent: too many open requests": 1,
        "not sent: the generator fell behind": 1,
        "UNAVAILABLE": 2,
    }


def test_every_grpc_status_has_its_name() -> None:
    assert {STATUS_NAMES[code] for code in (0, 4, 8, 14)} == {
        "OK",
        "DEADLINE_EXCEEDED",
        "RESOURCE_EXHAUSTED",
        "UNAVAILABLE",
    }


def test_three_digits_are_kept_and_tenths_of_a_millisecond() -> None:
    found = rounded(np.array([0.04, 0.26, 9.94, 99.96, 123.4, 1234.0, 56_789.0])).tolist()
    assert found == [0.0, 0.3, 9.9, 100.0, 123.0, 1230.0, 56_800.0]


def test_a_batch_without_an_answer_counts() -> None:
    assert shown([a_batch(np.array([np.nan, np.nan]), np.array([-1, -1]))]).total.num_requests == 2
