"""Collectors are found by listing the package, in a fixed order."""

from __future__ import annotations

from harness.collectors import all_collectors


def test_every_kind_of_evidence_has_one_collector() -> None:
    ids = [evidence_id for collector in all_collectors() for evidence_id in collector.ids]
    wanted = {"environment", "baseline", "quality", "shadow", "zone_crash", "rollback", "ledger", "edge", "machine"}
    assert len(ids) == len(set(ids))
    assert set(ids) == wanted | {"timeline", "calibration", "gpu", "experiments", "drills"}


def test_the_model_alone_is_measured_before_any_infrastructure() -> None:
    first = [collector for collector in all_collectors() if collector.phase == "before"]
    assert [collector.ids for collector in first] == [("environment",), ("baseline",), ("gpu",), ("drills",)]
