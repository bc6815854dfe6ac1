"""A load tells the generator's faults from the service's, and loses no request whatever happens to either."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.fleet.tether import tethered
from harness.load.ledger import complete
from harness.load.phases import sustained
from harness.load.process import Scenario, start_scenario
from harness.model import Status
from tests.integration.load_support import LoadServer, load_server, small_spec
from tests.integration.processes import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from harness.load.spec import LoadSpec

pytestmark = pytest.mark.slow

RATE_RPS = 200.0
LOAD_S = 5.0


@pytest.fixture
def server() -> Iterator[LoadServer]:
    with load_server() as running:
        yield running


def begin(spec: LoadSpec, directory: Path) -> Scenario:
    """Start the load and return a second after its schedule's zero."""
    scenario = start_scenario(spec, directory, tethered=tethered)
    timeline = Path(spec.timeline)
    wait_for(lambda: timeline.exists() and "scenario_started" in timeline.read_text(), 20, "the load has begun")
    time.sleep(1.0)
    return scenario


def ledger_of(spec: LoadSpec) -> tuple[pd.DataFrame, dict[str, Any]]:
    return complete(spec, Path(spec.ledger))


def test_stopped_generator_blames_itself_and_keeps_its_schedule(server: LoadServer, tmp_path: Path) -> None:
    spec = small_spec(tmp_path, server.address, phases=sustained(RATE_RPS, LOAD_S))
    scenario = begin(spec, tmp_path)
    scenario.process.send_signal(signal.SIGSTOP)
    time.sleep(2.0)
    scenario.process.send_signal(signal.SIGCONT)
    scenario.wait()
    table, summary = ledger_of(spec)

    late = table[table["status"] == Status.GENERATOR_LATE]
    expected = RATE_RPS * (2.0 - spec.late_limit_s)
    assert len(late) == pytest.approx(expected, rel=0.35)
    assert late["sent_ns"].isna().all()
    assert not (table["status"] == Status.CAP_FULL).any()

    lag_s = (table["sent_ns"] - table["intended_ns"]).dropna() / 1e9
    assert lag_s.max() > 0.1  # those just under the limit were sent late, and say so
    last = table[table["intended_ns"] > table["intended_ns"].max() - 1e9]
    assert ((last["sent_ns"] - last["intended_ns"]) / 1e9).median() < 0.05  # back on time: nothing was re-anchored
    assert table["intended_ns"].iloc[-1] <= summary["phases"][-1]["end_ns"]
    assert (summary["finished"], summary["gaps"]) == (True, 0)


def test_stalled_service_is_blamed_while_the_load_goes_on(server: LoadServer, tmp_path: Path) -> None:
    spec = small_spec(tmp_path, server.address, phases=sustained(RATE_RPS, LOAD_S))
    scenario = begin(spec, tmp_path)
    server.stall(2.0)
    scenario.wait()
    table, summary = ledger_of(spec)

    assert set(table["status"]) == {Status.OK}
    lag_s, response_s = (table["sent_ns"] - table["intended_ns"]) / 1e9, (table["done_ns"] - table["intended_ns"]) / 1e9
    assert lag_s.quantile(0.9) < 0.02
    assert response_s.max() == pytest.approx(2.0, abs=0.5)
    # Open loop: requests went on being sent all through the stall, so all lengths of waiting occur equally often.
    waited = response_s[response_s > 0.2]
    assert len(waited) == pytest.approx(RATE_RPS * 1.8, rel=0.35)
    assert (summary["drained"], summary["finished"], summary["gaps"]) == (True, True, 0)


def test_full_cap_is_the_services_and_what_never_ends_is_cut_off(server: LoadServer, tmp_path: Path) -> None:
    phases = sustained(RATE_RPS, 3.0)
    spec = small_spec(tmp_path, server.address, phases=phases, in_flight_max=50, timeout_s=30.0, drain_s=0.5)
    scenario = begin(spec, tmp_path)
    server.process.send_signal(signal.SIGSTOP)
    scenario.wait()
    table, summary = ledger_of(spec)

    counts = table["status"].value_counts()
    assert counts[Status.OPEN_AT_CUTOFF] == 50
    assert counts[Status.CAP_FULL] > 0.5 * RATE_RPS
    assert counts.sum() == len(table) == summary["recorded"]
    assert table[table["status"] == Status.OPEN_AT_CUTOFF]["done_ns"].isna().all()
    assert (summary["drained"], summary["finished"]) == (False, True)


def test_killed_generator_keeps_its_rows_up_to_the_kill(server: LoadServer, tmp_path: Path) -> None:
    spec = small_spec(tmp_path, server.address, phases=sustained(RATE_RPS, 30.0))
    scenario = begin(spec, tmp_path)
    scenario.process.kill()
    scenario.process.wait(5)
    killed_ns = time.monotonic_ns() - spec.zero_ns
    table, summary = ledger_of(spec)

    recorded = table[table["status"] == Status.OK]
    assert recorded["intended_ns"].max() > killed_ns - 1e9
    assert (table[table["intended_ns"] > killed_ns]["status"] == Status.GENERATOR_LATE).all()
    assert (summary["workers_lost"], summary["finished"], summary["gaps"]) == (1, False, 0)


def test_service_that_is_not_there_fails_every_request(tmp_path: Path) -> None:
    spec = small_spec(tmp_path, "127.0.0.1:9", phases=sustained(50.0, 1.0))
    start_scenario(spec, tmp_path, tethered=tethered).wait()
    table, summary = ledger_of(spec)
    assert set(table["status"]) == {14}  # UNAVAILABLE
    assert (summary["connected"], summary["finished"]) == (0, True)


def test_normal_load_is_whole_and_says_who_answered(server: LoadServer, tmp_path: Path) -> None:
    phases = sustained(100.0, 1.0, 0.5)
    spec = small_spec(tmp_path, server.address, phases=phases, scenario_index=4, method="/any.Service/Method")
    start_scenario(spec, tmp_path, tethered=tethered).wait()
    table, summary = ledger_of(spec)
    assert (set(table["zone"]), set(table["model_version"]), set(table["status"])) == ({"zone-a"}, {"1"}, {0})
    assert set(table["response_bytes"]) == {120}
    assert (table["request_id"] // 2**40 == 4).all()
    assert (summary["connected"], summary["drained"], summary["finished"], summary["gaps"]) == (2, True, True, 0)
    events = [json.loads(line) for line in Path(spec.timeline).read_text().splitlines()]
    assert [(item["event"], item["subject"]) for item in events] == [
        ("scenario_started", "sustained"),
        ("phase_started", "sustained/warmup"),
        ("phase_started", "sustained/hold"),
        ("scenario_ended", "sustained"),
    ]
    assert [item["t_ns"] for item in events[1:3]] == [item["start_ns"] for item in summary["phases"]]
