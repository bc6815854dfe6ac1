"""The exit code is the verdict: each way to end has its own, and says why."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest

from harness import reporting
from harness.cli import run_cli
from harness.gates import all_gates
from harness.plan import load_plan
from harness.store import create_run
from tests.builders import AS_OF, FAULT_S, SUBJECT, healthy, ns
from tests.harness.test_plan import REFERENCE, WAIVER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.builders import World

RATES = {
    "launch_rps = 200": "launch_rps = 100",
    "spike_rps = 600": "spike_rps = 300",
    "six_months_rps = 400": "six_months_rps = 200",
    "one_year_rps = 1000": "one_year_rps = 400",
    "availability = 0.9995": "availability = 0.999",
}


def _plan_text(**replaced: str) -> str:
    """The reference Plan at the rates of the healthy world, with further lines replaced (`latency = "old|new"`)."""
    text = REFERENCE.read_text()
    for old, new in [*RATES.items(), *(tuple(pair.split("|")) for pair in replaced.values())]:
        assert old in text
        text = text.replace(old, new, 1)
    return text


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes a run of the healthy world, or of `world`, under `plan`."""

    def make(plan: str = "", world: World | None = None) -> Path:
        path = tmp_path / "readiness.toml"
        path.write_text(plan or _plan_text())
        now = dt.datetime.fromisoformat(AS_OF)
        run = create_run(tmp_path / "runs", load_plan(path), profile="quick", subject=SUBJECT, now=now)
        for evidence in (world or healthy()).evidence.values():
            run.write(evidence)
        run.seal()
        return run.folder

    return make


def test_a_healthy_run_is_go_and_exits_0(make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_run()
    assert run_cli(["judge", str(folder)]) == 0
    assert "GO for stage internal" in capsys.readouterr().out
    assert (folder / "report.html").exists()


def test_a_p99_limit_of_a_tenth_of_a_millisecond_fails_naming_the_gate(
    make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(_plan_text(latency="\nlatency_ms_p99 = 50|\nlatency_ms_p99 = 0.1"))
    assert run_cli(["judge", str(folder), "--json"]) == 1
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["gates"]["sustained_latency"]["outcome"] == "FAIL"
    assert "NO-GO" in verdict["headline"]


@pytest.mark.parametrize("name", ["shadow", "edge", "ledger", "machine", "quality", "zone_crash", "timeline"])
def test_one_evidence_file_removed_exits_3_with_the_reason(
    make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder = make_run()
    (folder / "evidence" / f"{name}.json").unlink()
    assert run_cli(["judge", str(folder)]) == 3
    assert f"{name}.json is missing" in capsys.readouterr().out


def test_a_gate_that_raises_exits_3(
    make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def raising(_case: object) -> None:
        raise ZeroDivisionError("in the gate")

    gate = all_gates()["shadow_agreement"]
    broken = {
        **all_gates(),
        gate.id: type(gate)(**{name: getattr(gate, name) for name in gate.__slots__} | {"judge": raising}),
    }
    monkeypatch.setattr("harness.judge.all_gates", lambda: broken)
    assert run_cli(["judge", str(make_run())]) == 3
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_a_misspelt_key_exits_2_naming_key_and_suggestion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "readiness.toml"
    path.write_text(_plan_text(key="[slo]|[sloo]"))
    for command in ("check", "run"):
        assert run_cli([command, str(path)]) == 2
        assert 'sloo: unknown key; did you mean "slo"?' in capsys.readouterr().err


def test_a_required_gate_taken_out_of_the_plan_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "readiness.toml"
    kept = [name for name in all_gates() if name != "zone_failure"]
    path.write_text(_plan_text(gates=f'stage = "internal"|stage = "internal"\ngates = {json.dumps(kept)}'))
    assert run_cli(["check", str(path)]) == 2
    said = capsys.readouterr().err
    assert "zone_failure" in said
    assert "waive it" in said


def test_an_unknown_gate_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "readiness.toml"
    names = [*all_gates(), "zone_falure"]
    path.write_text(_plan_text(gates=f'stage = "internal"|stage = "internal"\ngates = {json.dumps(names)}'))
    assert run_cli(["check", str(path)]) == 2
    assert "zone_falure" in capsys.readouterr().err


def _losing_requests() -> World:
    """Some requests are lost while the zone is down, and at no other time."""
    window = [ns("zone_crash", at_s) for at_s in (FAULT_S[0] + 0.5, FAULT_S[1] - 0.5)]
    return healthy().with_rows(lambda rows: rows["intended_ns"].between(*window) & (rows.index % 20 == 0), status=14)


def test_a_waiver_in_date_is_go_with_1_waiver(
    make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    waiver = WAIVER.replace("2026-05-01", "2025-02-01").replace("2026-06-01", "2025-04-01")
    folder = make_run(_plan_text() + waiver, _losing_requests())
    assert run_cli(["judge", str(folder)]) == 0
    assert "GO with 1 waiver" in capsys.readouterr().out
    results = json.loads((folder / "verdict.json").read_bytes())["results"]
    assert next(item for item in results if item["gate"] == "zone_failure")["outcome"] == "FAIL"


def test_an_expired_waiver_exits_1(make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    waiver = WAIVER.replace("2026-05-01", "2025-01-01").replace("2026-06-01", "2025-02-01")
    assert run_cli(["judge", str(make_run(_plan_text() + waiver, _losing_requests()))]) == 1
    assert "expired" in capsys.readouterr().out


def test_a_bug_outside_a_gate_exits_70(
    make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def buggy(*_: object) -> None:
        raise RuntimeError("a bug in the judge itself")

    monkeypatch.setattr(reporting, "judge_evidence", buggy)
    assert run_cli(["judge", str(make_run())]) == 70
    assert "bug of gonogo's, not a verdict" in capsys.readouterr().err


def test_a_judgement_that_breaks_leaves_no_older_verdict_behind(
    make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run()
    assert run_cli(["judge", str(folder)]) == 0

    def buggy(*_: object) -> None:
        raise RuntimeError("a bug in the judge itself")

    monkeypatch.setattr(reporting, "judge_evidence", buggy)
    assert run_cli(["judge", str(folder)]) == 70
    assert run_cli(["report", str(folder)]) == 2
    assert not (folder / "report.html").exists()


def test_an_exit_from_below_is_a_bug_and_no_verdict(
    make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def exiting(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(reporting, "judge_evidence", exiting)
    assert run_cli(["judge", str(make_run())]) == 70


def test_an_unfinished_run_is_never_go(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    (folder / "seal.json").unlink()
    assert run_cli(["judge", str(folder)]) == 3


def test_judging_twice_gives_the_same_bytes(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    written = []
    for _ in range(2):
        run_cli(["judge", str(folder)])
        written.append(((folder / "verdict.json").read_bytes(), (folder / "report.html").read_bytes()))
    assert written[0] == written[1]


def test_interruption_has_its_own_code(monkeypatch: pytest.MonkeyPatch, make_run: Callable[..., Path]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reporting, "judge_evidence", interrupted)
    assert run_cli(["judge", str(make_run())]) == 130


@pytest.mark.parametrize(
    "arguments", [["chek"], ["run", "--profile", "eternal"], ["judge", "nowhere"], ["check", "no.toml"]]
)
def test_a_wrong_call_exits_2(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_cli(arguments) == 2


def test_doctor_and_check_answer_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["doctor", "--json"]) == 0
    assert {item["name"] for item in json.loads(capsys.readouterr().out)} >= {"python", "envoy", "locust", "cores"}
    assert run_cli(["check", str(REFERENCE), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
