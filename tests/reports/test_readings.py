"""The sentence under a chart says what its numbers say."""

from __future__ import annotations

from reports import readings
from reports.series import read
from tests.reports.sample_series import series


def test_response_time_counts_the_misses_and_names_the_worst() -> None:
    calm, slow = readings.response_time(read(series())), readings.response_time(read(series(slow=8.0)))
    assert calm.startswith(
        "The p99 of answered requests stayed at or under its objective in every half second measured."
    )
    assert "during staircase" in calm
    assert slow.startswith(
        "The p99 of answered requests was above its objective in 20 of 114 measurements, one for each half second."
    )
    assert "26 s into the run, during sustained load" in slow


def test_response_time_without_objective_claims_nothing_about_one() -> None:
    assert "objective" not in readings.response_time(read(series() | {"slo_ms": {}}))


def test_throughput_counts_failures() -> None:
    assert "no request failed" in readings.throughput(read(series()))
    failing = readings.throughput(read(series(failing=True)))
    assert "11 requests failed, the first 107 s into the run, during zone crash" in failing


def test_throughput_does_not_call_the_unmeasured_zero() -> None:
    drawn = series()
    drawn["failed_rps"] = [None for _ in drawn["t_s"]]
    assert "failures were not recorded" in readings.throughput(read(drawn))


def test_zones_tell_before_during_and_after_the_fault() -> None:
    told = readings.zones(read(series()))
    assert (
        told
        == "zone-b killed: it answered 67 requests a second before, 0 at the lowest, and 67 at the end of that load."
    )


def test_zones_without_fault_explain_the_bands() -> None:
    assert readings.zones(read(series() | {"faults": []})).startswith("Each band is one zone's share")


def test_distribution_names_each_scenario() -> None:
    told = readings.distribution(read(series()))
    assert told.startswith("99 of 100 answers came within ")
    assert all(name in told for name in ("sustained load", "zone crash", "rollback"))
