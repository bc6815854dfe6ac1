"""A service that is not ours, by a protocol of its own, is judged by a Plan that `gonogo init` wrote."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from harness.fleet.tether import tethered
from tests.integration.processes import ROOT, has_event, start_short_run, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

SECRET = "k3y-that-nobody-may-read"  # noqa: S105 - of no service
DECIDING = {"load_generator", "sustained_latency", "availability", "spike_latency", "capacity"}


@contextlib.contextmanager
def _service(module: str, **environment: str) -> Iterator[str]:
    """The service of that module in a process of its own; gives its address."""
    command = tethered([sys.executable, "-m", f"tests.integration.{module}"])
    variables = os.environ | environment
    with subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def _init(folder: Path, address: str, *options: str) -> Path:
    plan = folder / "readiness.toml"
    command = [sys.executable, "-m", "harness.cli", "init", "--target", address, "--output", str(plan), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return plan


def _verdict(run: subprocess.Popen[bytes], folder: Path) -> dict[str, Any]:
    run.wait(120)
    verdict: dict[str, Any] = json.loads((folder / "runs" / "latest" / "verdict.json").read_bytes())
    return verdict


def _assert_go(verdict: dict[str, Any]) -> None:
    outcomes = {item["gate"]: item["outcome"] for item in verdict["results"]}
    assert outcomes == dict.fromkeys(DECIDING, "PASS"), _reasons(verdict)
    assert (verdict["stage"], verdict["decision"]) == ("load", "GO")


def _reasons(verdict: dict[str, Any]) -> dict[str, str]:
    return {item["gate"]: item["reason"] for item in verdict["results"]}


def _requests(folder: Path) -> str:
    evidence = json.loads((folder / "runs" / "latest" / "evidence" / "ledger.json").read_bytes())
    return str(evidence["facts"]["requests"])


@pytest.mark.long
def test_a_grpc_service_with_reflection_is_judged_as_init_wrote_it(tmp_path: Path) -> None:
    with _service("weather_service") as address:
        plan = _init(tmp_path, address)
        verdict = _verdict(start_short_run(tmp_path / "runs", tmp_path / "log", plan), tmp_path)
    _assert_go(verdict)
    assert _requests(tmp_path) == "1 rows of requests.jsonl"


def test_an_http_service_with_a_key_is_judged_and_the_key_is_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", SECRET)
    with _service("http_service", SERVICE_KEY=SECRET) as address:
        plan = _init(tmp_path, address, "--method", "POST /predict", "--metadata", "x-api-key=env:TEST_KEY")
        rows = 'requests = "rows.csv"\nbody = \'{"user": {{ user_id }}, "when": {{ when | tojson }}}\''
        plan.write_text(plan.read_text().replace('requests = "requests.jsonl"', rows))
        (tmp_path / "rows.csv").write_text('user_id,when\n1,today\n2,tomorrow\n3,"on ""Monday"""\n')
        run = start_short_run(tmp_path / "runs", tmp_path / "log", plan)
        wait_for(lambda: has_event(tmp_path / "runs", "scenario_started", "spike"), 90, "the spike began")
        shown = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
        verdict = _verdict(run, tmp_path)
    _assert_go(verdict)
    assert _requests(tmp_path) == "3 rows of rows.csv"
    assert not [line for line in shown if SECRET in line]
    written = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in written if path.name == "sustained.spec.json"]
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]


@pytest.mark.long
def test_a_service_that_refuses_the_key_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "another")
    with _service("http_service", SERVICE_KEY=SECRET) as address:
        plan = _init(tmp_path, address, "--method", "POST /predict", "--metadata", "x-api-key=env:TEST_KEY")
        verdict = _verdict(start_short_run(tmp_path / "runs", tmp_path / "log", plan), tmp_path)
    outcomes = {item["gate"]: item["outcome"] for item in verdict["results"]}
    assert (outcomes["load_generator"], outcomes["availability"]) == ("PASS", "FAIL"), _reasons(verdict)
    assert verdict["exit_code"] == 1
