"""Calibration and search on real load: what a generator can do, and where a service of known capacity breaks."""

from __future__ import annotations

import dataclasses
import datetime as dt
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.calibration import ability
from harness.capacity import Stop, measured
from harness.collectors import Context, calibration, driving, ledger, search
from harness.collectors.driving import load_spec
from harness.fleet.tether import tethered
from harness.load.phases import staircase
from harness.load.pool import write_pool
from harness.model import Case, Evidence, Outcome
from harness.plan import load_plan
from harness.plan_types import Target, Traffic
from harness.profiles import PROFILES
from harness.store import create_run
from harness.validity import STAIRCASE
from tests.harness.collectors.test_ledger import Silent
from tests.harness.test_plan import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

SERVER = Path(__file__).with_name("serial_server.py")
SERVICE_MS = 5.0
"""One request at a time: 200 a second at most. Of Poisson arrivals, 99 % are answered within 50 ms up to about 165 a
second (M/D/1: the tail of the wait at a load of 0.83 reaches 45 ms at 1 %)."""


@pytest.fixture
def context(tmp_path: Path) -> Context:
    loaded = load_plan(REFERENCE)
    target = Target(provider="attached", model="m", address="127.0.0.1:1")
    slo = dataclasses.replace(loaded.plan.slo, latency_ms_p99=50)
    traffic = Traffic(launch_rps=60, six_months_rps=100, spike_rps=120, one_year_rps=240)
    loaded = dataclasses.replace(loaded, plan=dataclasses.replace(loaded.plan, target=target, slo=slo, traffic=traffic))
    run = create_run(tmp_path, loaded, profile="quick", subject="m@1", now=dt.datetime.now(tz=dt.UTC))
    profile = dataclasses.replace(PROFILES["quick"], staircase_step_s=6, search_steps=4)
    made = Context(run=run, loaded=loaded, profile=profile, progress=Silent())
    made.requests = run.work / "requests.pool"
    write_pool(made.requests, [b"a" * 100])
    return made


@pytest.fixture
def address() -> Iterator[str]:
    command = tethered([sys.executable, str(SERVER), str(SERVICE_MS)])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


def test_a_calibration_shows_what_the_run_will_ask_for(context: Context) -> None:
    context.profile = dataclasses.replace(context.profile, search_steps=0)
    (evidence,) = calibration.collect(context)
    facts = evidence.facts
    assert (facts["asked_rps"], facts["valid_rps"], facts["is_lower_bound"]) == (240, 240, True)
    assert facts["steps"][-1]["rate_rps"] == 300
    assert 0 < facts["steps"][-1]["cpu_share"] < 0.5
    assert context.loads == []
    assert context.able_rps == 240
    case = Case(context.plan, {"calibration": evidence})
    assert ability(case).outcome is Outcome.PASS


def test_a_generator_that_can_not_do_it_is_found_out(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine sends ten million a second; how many it can do is found by halves."""
    monkeypatch.setattr(calibration, "TRIAL_S", 0.1)
    traffic = dataclasses.replace(context.plan.traffic, one_year_rps=3_000_000)
    context.loaded = dataclasses.replace(context.loaded, plan=dataclasses.replace(context.plan, traffic=traffic))
    context.profile = dataclasses.replace(context.profile, search_steps=0)
    (evidence,) = calibration.collect(context)
    assert not evidence.facts["steps"][0]["valid"]
    assert evidence.facts["valid_rps"] < 3_000_000
    assert len(evidence.facts["steps"]) > 1


@pytest.mark.long
def test_a_search_finds_where_a_service_of_known_capacity_breaks(context: Context, address: str) -> None:
    context.address = address
    spec = load_spec(context, STAIRCASE, staircase(60, 240, 4, context.profile.staircase_step_s))
    driving.finish(driving.start(context, spec, "staircase.py"))
    search.collect(context)
    (evidence,) = ledger.collect(context)
    unseen = Evidence(id="machine", collector="machine", subject="m@1")
    found = measured(Case(context.plan, {"ledger": evidence, "machine": unseen}))
    assert len(context.loads) > 2
    assert found.stop in {Stop.SERVICE, Stop.UNPROVEN}
    assert 110 <= found.held_rps <= 190
    assert found.stopped_rps is not None
    assert found.stopped_rps - found.held_rps <= 20
    assert found.failed_rps is not None
    assert found.failed_rps <= 240
    assert found.knee_rps is not None
