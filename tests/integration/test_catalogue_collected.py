"""The catalogue collected with real load and the real `chaos run`: what fails is ended, on record, and not the last."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from harness.collectors import CollectError, Context
from harness.collectors.chaos import collect_catalogue
from harness.fault_journal import FAULTS_VARIABLE
from harness.load.pool import write_pool
from harness.model import Evidence
from harness.plan import load_plan
from harness.plan_experiments import Experiment
from harness.profiles import PROFILES
from harness.store import create_run
from tests.harness.collectors.test_ledger import Silent
from tests.harness.test_hollow_experiments import Case, document
from tests.harness.test_plan import REFERENCE

if TYPE_CHECKING:
    from pathlib import Path

    from harness.plan_types import Plan

pytestmark = pytest.mark.slow

SPENT_AFTER_S = 5
"""How long the load must fail for: by then `chaos run` has made its fault."""


def a_context(folder: Path, experiments: dict[str, Experiment], **profile: Any) -> Context:
    """A run whose target is an address where nobody listens: every request fails at once."""
    loaded = load_plan(REFERENCE)
    plan: Plan = dataclasses.replace(loaded.plan, experiments=experiments)
    run = create_run(folder, loaded, profile="standard", subject="m@1", now=dt.datetime.now(tz=dt.UTC))
    profile = {"fault_before_s": 0, "fault_hold_s": 3, "fault_after_s": 0} | profile
    chosen = dataclasses.replace(PROFILES["standard"], **profile)
    loaded = dataclasses.replace(loaded, plan=plan)
    made = Context(run=run, loaded=loaded, profile=chosen, progress=Silent())
    reach = SimpleNamespace(metadata=(), ca="")
    made.fleet = SimpleNamespace(client=SimpleNamespace(socket_path=folder / "fleet.sock"), reach=reach)  # type: ignore[assignment]
    made.requests = run.work / "requests.pool"
    write_pool(made.requests, [b"a" * 100])
    with socket.create_server(("127.0.0.1", 0)) as free:
        made.address = f"127.0.0.1:{free.getsockname()[1]}"
    return made


def test_an_experiment_without_its_file_stops_no_other_and_one_that_spends_the_budget_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FAULTS_VARIABLE, str(tmp_path / "faults"))
    monkeypatch.setenv("HOLLOW_FOLDER", str(tmp_path))
    toy = tmp_path / "toy.json"
    case = Case(outcome="", reason="", hold_s=60)  # type: ignore[arg-type]
    toy.write_text(json.dumps(document(case)))
    allowed = SPENT_AFTER_S * 200 / (0.0005 * 200 * 30 * 86_400)
    context = a_context(
        tmp_path,
        {"gone": Experiment(file="local/gone.json"), "toy": Experiment(file=str(toy), budget_share_max=allowed)},
    )
    (evidence,) = collect_catalogue(context)
    gone, ended = evidence.facts["runs"]
    assert (gone["scenario"], gone["journal"]) == ("gone", None)
    assert "there is no file local/gone.json" in gone["error"]
    assert (ended["scenario"], ended["ended_by"], ended["open_faults"]) == ("toy", "safeguard", ["zone_freeze of edge"])
    assert ended["journal"]["status"] == "interrupted"
    assert [entry["status"] for entry in ended["journal"]["rollbacks"]] == ["succeeded"]
    assert (tmp_path / "was-broken").exists()
    assert not (tmp_path / "broken").exists()
    assert [spec.scenario for spec, _ in context.loads] == ["toy"]


def reason(context: Context) -> str:
    with pytest.raises(CollectError) as caught:
        collect_catalogue(context)
    return str(caught.value)


def test_a_profile_or_a_plan_without_a_catalogue_says_so(tmp_path: Path) -> None:
    toy = {"toy": Experiment(file="local/zone_crash.json")}
    assert reason(a_context(tmp_path / "a", toy, name="quick", catalogue=False)) == (
        "profile quick leaves the catalogue out"
    )
    assert reason(a_context(tmp_path / "b", {})) == "the Plan names no experiment of the catalogue"


def test_a_load_that_the_generator_can_not_do_is_recorded_for_each_repeat(tmp_path: Path) -> None:
    context = a_context(tmp_path, {"toy": Experiment(file="local/zone_crash.json", repeats=2)})
    context.able_rps = 10
    (evidence,) = collect_catalogue(context)
    assert isinstance(evidence, Evidence)
    runs = [(run["repeat"], run["scenario"], "refused" in run["error"]) for run in evidence.facts["runs"]]
    assert runs == [(1, "toy", True), (2, "toy#2", True)]
    assert set(context.refused) == {"toy", "toy#2"}
