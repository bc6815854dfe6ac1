"""The edge's limits follow from the Plan: enough for the run's own load, for others what the launch expects."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from harness.collect import fleet_spec, in_flight_max
from harness.plan import load_plan
from harness.profiles import PROFILES
from tests.harness.test_plan import REFERENCE

if TYPE_CHECKING:
    from pathlib import Path


def test_the_load_may_send_all_that_a_search_may_ask_for_and_a_client_what_the_launch_expects(tmp_path: Path) -> None:
    loaded = load_plan(REFERENCE)
    for profile, highest_rps in (("quick", 1500), ("standard", 7593.75)):
        spec = fleet_spec(loaded, PROFILES[profile], tmp_path)
        assert (spec.load_rps, spec.client_rps) == (highest_rps * 1.25, 200)


def test_the_zones_may_have_in_hand_what_they_can_answer_in_time() -> None:
    plan = load_plan(REFERENCE).plan
    assert in_flight_max(plan) == 120  # 600 a second, 200 ms
    slower = dataclasses.replace(plan, slo=dataclasses.replace(plan.slo, latency_ms_p99=300, spike_latency_ms_p99=300))
    assert in_flight_max(slower) == 300  # 1,000 a second, 300 ms
