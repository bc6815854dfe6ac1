"""Every experiment file is valid, heals in its rollbacks, proves its fault by a reading, and says what it is of."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from chaoslib.experiment import ensure_experiment_is_valid

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "experiments" / "local").glob("*.json"))
EXPECTED = {
    *("zone_crash", "rollback", "zone_freeze", "zone_black_hole", "zone_latency", "zone_errors", "two_zones_lost"),
    *("spike_in_zone_loss", "graceful_drain", "memory_cap", "disk_full", "edge_restart", "nothing"),
    *("unloadable_model", "tampered_model", "worse_model", "expired_certificate", "revoked_key", "clock_skew"),
}
PAUSE_S_MAX = 30
SAYS = {"name", "fault", "subjects", "load", "detects", "expectations", "label"}
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def _load(path: Path) -> dict[str, Any]:
    experiment: dict[str, Any] = json.loads(path.read_text())
    return experiment


def _says(path: Path) -> dict[str, Any]:
    [found] = [item for item in _load(path).get("extensions", []) if item["name"] == "gonogo"]
    says: dict[str, Any] = found
    return says


def _source(activity: dict[str, Any]) -> str:
    """What the function of an activity does."""
    provider = activity["provider"]
    function = getattr(importlib.import_module(provider["module"]), provider["func"])
    return textwrap.dedent(inspect.getsource(function))


def _undo(activity: dict[str, Any]) -> str:
    """The function that an action names as its undo when it requests a fault; empty for one that requests none."""
    for node in ast.walk(ast.parse(_source(activity))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "faults.request":
            return next(ast.unparse(item.value) for item in node.keywords if item.arg == "undo")
    return ""


def _faults(path: Path) -> list[dict[str, Any]]:
    """The actions of the method that request a fault."""
    return [item for item in _load(path)["method"] if item["type"] == "action" and _undo(item)]


@every_file
def test_chaos_toolkit_accepts_the_file(path: Path) -> None:
    """What `chaos validate` asks of a file, without the seconds that its start takes."""
    ensure_experiment_is_valid(_load(path))


def test_chaos_validate_accepts_a_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "--settings", str(tmp_path / "none.yaml")]
    command += ["--log-file", str(tmp_path / "chaos.log"), "validate", str(FILES[0])]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@every_file
def test_it_always_rolls_back_and_has_a_measurable_steady_state(path: Path) -> None:
    experiment = _load(path)
    assert experiment["runtime"]["rollbacks"]["strategy"] == "always"
    assert experiment["rollbacks"], "a fault without its healing step"
    assert all("tolerance" in probe for probe in experiment["steady-state-hypothesis"]["probes"])


@every_file
def test_a_reading_follows_every_action_and_none_runs_in_the_background(path: Path) -> None:
    method = _load(path)["method"]
    assert not any(activity.get("background") for activity in method)
    kinds = [activity["type"] for activity in method]
    assert kinds.count("probe") >= 1
    assert kinds[0] == "action"


@every_file
def test_every_fault_of_the_method_is_undone_in_the_rollbacks_where_it_was_made(path: Path) -> None:
    rollbacks = [
        (item["provider"]["func"], item["provider"]["arguments"].get("zone")) for item in _load(path)["rollbacks"]
    ]
    for action in _faults(path):
        assert (_undo(action), action["provider"]["arguments"].get("zone")) in rollbacks, action["name"]


@pytest.mark.parametrize("path", [path for path in FILES if path.stem != "rollback"], ids=lambda path: path.stem)
def test_every_fault_is_proven_in_place_and_proven_gone_by_readings(path: Path) -> None:
    """A switch of versions is the one exception: the ledger itself shows which version answered."""
    probes = [_source(item) for item in _load(path)["method"] if item["type"] == "probe"]
    faults = _faults(path)
    assert faults
    for moment in ("faults.in_place(", "faults.gone("):
        assert sum(moment in source for source in probes) == len(faults), moment


@every_file
def test_the_fault_is_called_by_the_name_of_its_file_and_lasts_a_bounded_time(path: Path) -> None:
    experiment = _load(path)
    assert _says(path)["fault"] == path.stem
    for item in experiment["method"]:
        assert item["provider"]["arguments"].get("fault", path.stem) == path.stem, item["name"]
        for pause in item.get("pauses", {}).values():
            assert experiment["configuration"][pause.strip("${}")]["default"] <= PAUSE_S_MAX


@every_file
def test_it_says_of_itself_what_the_harness_and_a_reader_must_know(path: Path) -> None:
    says = _says(path)
    assert set(says) - {"longer_s"} == SAYS
    assert says["subjects"], "nothing is broken"
    assert says["load"] in {"steady", "spike"}
    assert isinstance(says["detects"], bool)
    assert len(says["label"].split()) >= 8, "how the fault is made, and what that can't show"


@every_file
def test_expectations_are_probes_of_the_method_that_have_a_tolerance(path: Path) -> None:
    judged = {item["name"] for item in _load(path)["method"] if item["type"] == "probe" and "tolerance" in item}
    assert set(_says(path)["expectations"]) <= judged


def test_the_catalogue_is_not_empty() -> None:
    assert {path.stem for path in FILES} >= EXPECTED
