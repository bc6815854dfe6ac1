"""Each scenario runs by plain `locust -f`, with its own options and Locust's own outputs."""

from __future__ import annotations

import csv
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.fleet.tether import tethered
from harness.load.pool import write_pool
from harness.load.streams import LedgerError, read_stream
from harness.load.summary import read_summary
from tests.integration.load_support import load_server
from tests.integration.processes import wait_for

SCENARIOS = Path(__file__).parents[2] / "scenarios"

OWN_OPTIONS = {
    "sustained": ("--rate", "--duration", "--warmup"),
    "spike": ("--rate", "--peak-rate", "--before", "--peak", "--after"),
    "ramp": ("--from-rate", "--to-rate", "--duration", "--hold"),
    "staircase": ("--from-rate", "--to-rate", "--steps", "--step-duration"),
    "soak": ("--rate", "--duration", "--period", "--warmup"),
    "piecewise": ("--phases",),
}
SHORT = {
    "sustained": "--rate 60 --duration 1 --warmup 0.5",
    "spike": "--rate 40 --peak-rate 120 --before 0.5 --peak 0.5 --after 0.5",
    "ramp": "--from-rate 0 --to-rate 120 --duration 1 --hold 0.5",
    "staircase": "--from-rate 40 --to-rate 120 --steps 2 --step-duration 0.75",
    "soak": "--rate 60 --duration 1.5 --period 0.5 --warmup 0.5",
    "piecewise": "--phases 'calm 60x0.5, climb 60-120x500ms, stairs 100-40/2x0.5s'",
}
DUE = {"sustained": 90, "spike": 100, "ramp": 120, "staircase": 120, "soak": 120, "piecewise": 110}
"""Requests that each of these asks for, in even arrivals."""


def locust(name: str, *arguments: str) -> list[str]:
    """The command as a user types it, tied to this process."""
    return tethered([sys.executable, "-m", "locust", "-f", str(SCENARIOS / f"{name}.py"), *arguments])


def plain_environment() -> dict[str, str]:
    """As in a user's shell: nothing of ours, nothing that keeps gevent from patching."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("LOCUST_", "GONOGO_"))}
    return kept | {"PYTHONPATH": str(SCENARIOS.parent)}


def run_to_end(name: str, directory: Path, options: str) -> subprocess.CompletedProcess[str]:
    command, environment = locust(name, *shlex.split(options)), plain_environment()
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def rows_in(ledger: Path) -> int:
    """How many rows can be read by now."""
    try:
        return len(read_stream(ledger).rows)
    except LedgerError:
        return 0


def test_every_scenario_is_tried_here() -> None:
    assert {path.stem for path in SCENARIOS.glob("[!_]*.py")} == set(SHORT)


@pytest.mark.parametrize("name", sorted(SHORT))
def test_help_tells_the_options(name: str, tmp_path: Path) -> None:
    shown = run_to_end(name, tmp_path, "--scenario-help")
    assert shown.returncode == 0, shown.stderr
    for option in (*OWN_OPTIONS[name], "--ledger", "--seed", "--arrivals", "--timeout"):
        assert f"  {option} " in shown.stdout
    assert f"locust -f scenarios/{name}.py --headless" in shown.stdout


@pytest.mark.parametrize("name", sorted(SHORT))
def test_runs_alone_and_locusts_own_figures_agree_with_the_ledger(name: str, tmp_path: Path) -> None:
    write_pool(tmp_path / "pool", [b"a row"])
    with load_server() as server:
        files = "--requests pool --ledger ledger.arrow --csv stats"
        options = f"--headless --host {server.address} {files} --arrivals constant {SHORT[name]}"
        run = run_to_end(name, tmp_path, options)
    assert run.returncode == 0, run.stderr
    stream, summary = read_stream(tmp_path / "ledger.arrow"), read_summary(tmp_path / "ledger.arrow")
    assert summary is not None
    assert summary["finished"] is True
    assert len(stream.rows) == summary["scheduled"] == DUE[name]
    with (tmp_path / "stats_stats.csv").open() as file:
        figures = {row["Name"]: row for row in csv.DictReader(file)}
    assert int(figures["ModelInfer"]["Request Count"]) == len(stream.rows)
    assert figures["ModelInfer"]["Failure Count"] == "0"


def test_parts_that_cannot_be_read_are_refused_at_once(tmp_path: Path) -> None:
    run = run_to_end("piecewise", tmp_path, "--headless --host 127.0.0.1:1 --phases 'calm 60x5, peak 600*10'")
    assert run.returncode == 2
    assert 'argument --phases: part 2, "peak 600*10"' in run.stderr


def test_failed_requests_show_in_locust_and_in_its_exit_code(tmp_path: Path) -> None:
    write_pool(tmp_path / "pool", [b"fail"])
    with load_server() as server:
        options = f"--headless --host {server.address} --requests pool --ledger ledger.arrow {SHORT['sustained']}"
        run = run_to_end("sustained", tmp_path, options)
    assert run.returncode == 1
    assert "UNAVAILABLE" in run.stdout + run.stderr


def test_without_a_target_says_what_is_missing(tmp_path: Path) -> None:
    run = run_to_end("sustained", tmp_path, "--headless")
    assert run.returncode == 1
    assert "give --host HOST:PORT" in run.stderr


def test_interrupted_load_ends_soon_and_not_as_a_success(tmp_path: Path) -> None:
    write_pool(tmp_path / "pool", [b"a row"])
    with load_server() as server:
        options = f"--headless --host {server.address} --requests pool --ledger ledger.arrow --rate 50 --duration 60"
        process = subprocess.Popen(
            locust("sustained", *options.split()),
            cwd=tmp_path,
            env=plain_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        ledger = tmp_path / "ledger.arrow"
        wait_for(lambda: rows_in(ledger), 20, "rows in the ledger")
        process.send_signal(signal.SIGINT)
        interrupted = time.monotonic()
        assert process.wait(15) == 1
    assert time.monotonic() - interrupted < 10
    summary = read_summary(ledger)
    assert summary is not None
    assert summary["finished"] is False
