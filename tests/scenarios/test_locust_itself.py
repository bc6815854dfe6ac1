"""Locust's own ways of running work with these users: its pages, its processes, its workers, its reports."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

from harness.load.streams import read_stream
from harness.load.summary import read_summary
from tests.integration.load_support import load_server
from tests.integration.processes import wait_for
from tests.scenarios.test_alone import locust, plain_environment, run_to_end

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def start(directory: Path, options: str) -> subprocess.Popen[bytes]:
    with (directory / "locust.log").open("ab") as log:
        command, environment = locust("sustained", *options.split()), plain_environment()
        return subprocess.Popen(command, cwd=directory, env=environment, stdout=log, stderr=log)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def requests_shown(page: httpx.Client) -> int:
    stats = page.get("/stats/requests").json()["stats"]
    return int(next(row["num_requests"] for row in stats if row["name"] == "Aggregated"))


def test_the_web_page_starts_a_load_shows_it_and_can_start_another(tmp_path: Path) -> None:
    port = free_port()
    with load_server() as server:
        options = f"--host {server.address} --ledger ledger.arrow --rate 100 --duration 2 --warmup 0"
        process = start(tmp_path, f"--web-port {port} --web-host 127.0.0.1 {options}")
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}") as page:
                wait_for(lambda: _answers(page), 30, "Locust's page is there")
                for _ in range(2):
                    form = {"user_count": 1, "spawn_rate": 1, "host": server.address}
                    assert page.post("/swarm", data=form).json()["success"] is True
                    wait_for(lambda: not read_summary(tmp_path / "ledger.arrow"), 10, "the load has begun anew")
                    wait_for(lambda: read_summary(tmp_path / "ledger.arrow"), 30, "the load is over")
                    wait_for(lambda: page.get("/stats/requests").json()["state"] == "stopped", 10, "Locust knows")
                    summary = read_summary(tmp_path / "ledger.arrow")
                    assert summary is not None
                    assert summary["finished"] is True
                    assert requests_shown(page) == len(read_stream(tmp_path / "ledger.arrow").rows) > 100
                assert "Aggregated" in page.get("/stats/report").text
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(10)


def _answers(page: httpx.Client) -> bool:
    try:
        return page.get("/").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def test_processes_share_the_load_and_its_csv_has_all_of_it(tmp_path: Path) -> None:
    with load_server() as server:
        options = f"--headless --processes 2 --host {server.address} --ledger ledger.arrow --rate 200 --duration 2"
        run = run_to_end("sustained", tmp_path, f"{options} --csv stats --html report.html")
    assert run.returncode == 0, run.stderr
    parts = [read_stream(tmp_path / f"ledger.worker-{worker}.arrow") for worker in range(2)]
    ids = np.concatenate([part.rows["request_id"].to_numpy() for part in parts])
    assert sorted(ids.tolist()) == list(range(len(ids)))
    total = next(line for line in (tmp_path / "stats_stats.csv").read_text().splitlines() if ",Aggregated," in line)
    assert int(total.split(",")[2]) == len(ids)
    assert re.search(rf'"num_requests":\s*{len(ids)}\b', (tmp_path / "report.html").read_text())


def test_a_master_and_its_workers_started_by_hand(tmp_path: Path) -> None:
    port = free_port()
    with load_server() as server:
        options = f"--host {server.address} --ledger ledger.arrow --rate 100 --duration 1"
        master = start(tmp_path, f"--headless --master --master-bind-port {port} --expect-workers 2 {options}")
        workers = [start(tmp_path, f"--worker --master-host 127.0.0.1 --master-port {port}") for _ in range(2)]
        try:
            assert master.wait(60) == 0, (tmp_path / "locust.log").read_text()
            assert [worker.wait(10) for worker in workers] == [0, 0]
        finally:
            for process in (master, *workers):
                process.kill()
                process.wait()
    rows = sum(len(read_stream(tmp_path / f"ledger.worker-{worker}.arrow").rows) for worker in range(2))
    assert rows > 100
