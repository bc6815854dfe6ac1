"""A load shared by workers is the load of one, whole to the last row, and a worker that is lost is told."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from scipy import stats

from harness.fleet.tether import tethered
from harness.load.ledger import complete
from harness.load.null_server import OWN
from harness.load.phases import sustained
from harness.load.process import Placement, start_scenario
from harness.load.schedule import schedule
from harness.model import Status
from tests.integration.load_support import LoadServer, load_server, small_spec
from tests.integration.processes import ROOT, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.load.spec import LoadSpec

pytestmark = pytest.mark.slow

RATE_RPS = 300.0
ALPHA = 1e-3
"""How often the test of the arrivals' law may fail by chance; the seed is fixed, so it does always or never."""


@pytest.fixture
def server() -> Iterator[LoadServer]:
    with load_server() as running:
        yield running


def a_load(directory: Path, server: LoadServer, hold_s: float, **changes: Any) -> LoadSpec:
    return small_spec(directory, server.address, phases=sustained(RATE_RPS, hold_s), workers=3, **changes)


def has_begun(spec: LoadSpec) -> bool:
    timeline = Path(spec.timeline)
    return timeline.exists() and "scenario_started" in timeline.read_text()


def test_three_workers_send_every_request_of_the_schedule_once(server: LoadServer, tmp_path: Path) -> None:
    spec = a_load(tmp_path, server, 6.0)
    scenario = start_scenario(spec, tmp_path, tethered=tethered)
    scenario.wait()
    assert [worker.wait(10) for worker in scenario.workers] == [0, 0, 0]
    table, summary = complete(spec, Path(spec.ledger))

    plan = schedule(spec)
    assert table["request_id"].tolist() == [spec.request_id(number) for number in plan.sequence.tolist()]
    assert set(table["status"]) == {Status.OK}
    assert np.bincount(table["worker"]).tolist() == [len(plan.sequence[k::3]) for k in range(3)]
    assert (summary["finished"], summary["gaps"], summary["workers_lost"], summary["connected"]) == (True, 0, 0, 6)
    assert "2 at" not in scenario.log.read_text()

    # What was really sent is the process that the law asks for, over all workers together.
    gaps_s = np.diff(np.sort(table["sent_ns"].to_numpy(np.float64))) / 1e9
    assert stats.kstest(gaps_s, stats.expon(scale=1 / RATE_RPS).cdf).pvalue > ALPHA

    # All are on this machine's clock, so the true offset is none, and no bound may exclude that.
    for worker in summary["per_worker"]:
        assert abs(worker["clock_offset_ns"]) <= worker["clock_bound_ns"] < 50_000_000

    # Locust's own statistics missed no window of any worker.
    shown = next(line for line in scenario.log.read_text().splitlines() if "Aggregated" in line)
    assert int(shown.split()[1]) == len(plan)

    events = [json.loads(line)["event"] for line in Path(spec.timeline).read_text().splitlines()]
    assert events == ["scenario_started", "phase_started", "scenario_ended"]


def test_killed_worker_is_told_and_leaves_its_rows_up_to_the_kill(server: LoadServer, tmp_path: Path) -> None:
    spec = a_load(tmp_path, server, 6.0, drain_s=0.5)
    scenario = start_scenario(spec, tmp_path, tethered=tethered)
    wait_for(lambda: has_begun(spec), 60, "the load has begun")
    time.sleep(2.0)  # the load before the kill, not a wait for something
    scenario.workers[1].send_signal(signal.SIGKILL)
    killed_ns = time.monotonic_ns() - spec.zero_ns
    with pytest.raises(Exception, match="exit code 1"):
        scenario.wait()
    table, summary = complete(spec, Path(spec.ledger))

    assert (summary["finished"], summary["workers_lost"]) == (False, 1)
    lost = next(item["worker"] for item in summary["per_worker"] if item["lost"])
    theirs, others = table[table["worker"] == lost], table[table["worker"] != lost]
    kept = theirs[theirs["status"] == Status.OK]
    assert kept["intended_ns"].max() > killed_ns - 1.5e9
    assert (theirs[theirs["intended_ns"] > killed_ns]["status"] == Status.GENERATOR_LATE).all()
    assert set(others["status"]) == {Status.OK}


def test_workers_elsewhere_join_by_themselves_scenario_after_scenario(server: LoadServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = tethered([sys.executable, "-m", "harness.cli", "run", "--worker", address])
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    workers = [subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) for _ in range(3)]
    try:
        for index, changes in enumerate([{}, {"target": OWN}]):  # the second one calibrates them, each on its own
            spec = dataclasses.replace(a_load(tmp_path, server, 1.0, scenario_index=index), **changes)
            start_scenario(spec, tmp_path, tethered=tethered, placement=Placement(address)).wait()
            table, summary = complete(spec, Path(spec.ledger))
            assert (summary["finished"], summary["gaps"], summary["workers"]) == (True, 0, 3)
            assert set(table["status"]) == {Status.OK}
    finally:
        children = [child for worker in workers for child in psutil.Process(worker.pid).children(recursive=True)]
        for worker in workers:
            worker.send_signal(signal.SIGINT)
        assert [worker.wait(10) for worker in workers] == [130] * 3
        _, alive = psutil.wait_procs(children, timeout=5)
        assert not alive
