"""Three times what the zones can carry, through the real edge: what is let in is answered in time, the rest refused.

Rule: capacity is measured by the same load just before, so that a slow machine is no failure.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.collectors.driving import recorded
from harness.fleet.lifecycle import start_fleet
from harness.fleet.spec import FleetSpec
from harness.fleet.tether import tethered
from harness.load.golden import REFERENCE_VERSION, golden_requests
from harness.load.pool import write_pool
from harness.load.process import SCENARIOS, start_scenario
from harness.load.spec import LoadSpec, Phase
from harness.model import Status
from harness.plan_target import Tls
from tests.integration.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.slices import Requests

pytestmark = [pytest.mark.long, pytest.mark.slow]

CLIMB_RPS = (1000, 2000, 3000, 3500, 4000, 4500, 5000, 6000, 7000)
CALM_MS_P99, SPIKE_MS_P99 = 50, 200
"""The reference Plan's objectives: at its rates, and beyond them."""
CALM_RPS = 100
BACK_S = 2.0
REFUSED = 8


def test_goodput_holds_at_three_times_capacity_and_all_is_well_two_seconds_later(tmp_path: Path) -> None:
    spec = FleetSpec(
        zones=("zone-a", "zone-b", "zone-c"),
        registry=ROOT / "reference_service" / "models",
        model="flight-delay",
        version="1",
        directory=tmp_path / "fleet",
        load_rps=100_000,
    )
    with start_fleet(spec, lease=True) as fleet:
        write_pool(tmp_path / "pool", golden_requests(REFERENCE_VERSION))
        base = LoadSpec(
            scenario="climb",
            target=fleet.address,
            phases=tuple(Phase(f"at {rate}", rate, 2) for rate in CLIMB_RPS),
            requests=str(tmp_path / "pool"),
            ledger="",
            zero_ns=time.monotonic_ns(),
            metadata=fleet.reach.metadata,
            tls=Tls(ca=fleet.reach.ca),
        )
        climb = driven(base, tmp_path)
        capacity_rps = max(phase.rate_rps for phase in base.phases if held(climb.of("climb", phase.name)))
        over = Phase("over", 3 * capacity_rps, 20)
        phases = (over, Phase("settle", CALM_RPS, BACK_S), Phase("after", CALM_RPS, 5))
        rows = driven(dataclasses.replace(base, scenario="overload", phases=phases), tmp_path)
    mine = rows.of("overload", "over")
    answered = mine.status == Status.OK
    assert np.count_nonzero(answered) / over.duration_s >= 0.8 * capacity_rps
    assert response_ms_p99(mine, answered) <= SPIKE_MS_P99
    refused = mine.status == REFUSED
    assert np.count_nonzero(refused) > np.count_nonzero(answered) / 2
    assert response_ms_p99(mine, refused) <= SPIKE_MS_P99
    after = rows.of("overload", "after")
    assert set(after.status) == {Status.OK}
    assert response_ms_p99(after, after.status == Status.OK) <= SPIKE_MS_P99


def driven(spec: LoadSpec, folder: Path) -> Requests:
    """The rows of one load."""
    placed = dataclasses.replace(spec, ledger=str(folder / f"{spec.scenario}.arrow"))
    start_scenario(placed, folder, tethered=tethered, file=SCENARIOS / "sustained.py").wait()
    return recorded(placed)[0]


def held(rows: Requests) -> bool:
    """Whether every request of a step was answered, and 99 % within the objective."""
    answered = rows.status == Status.OK
    return bool(np.all(answered)) and response_ms_p99(rows, answered) <= CALM_MS_P99


def response_ms_p99(rows: Requests, which: NDArray[np.bool_]) -> float:
    return float(np.percentile((rows.done_ns - rows.intended_ns)[which] / 1e6, 99))
