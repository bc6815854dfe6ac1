"""Every experiment file is valid, heals in its rollbacks, and proves its fault by a reading."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "experiments" / "local").glob("*.json"))


def _load(path: Path) -> dict[str, Any]:
    experiment: dict[str, Any] = json.loads(path.read_text())
    return experiment


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_chaos_toolkit_accepts_the_file(path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "--settings", str(tmp_path / "none.yaml")]
    command += ["--log-file", str(tmp_path / "chaos.log"), "validate", str(path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_always_rolls_back_and_has_a_measurable_steady_state(path: Path) -> None:
    experiment = _load(path)
    assert experiment["runtime"]["rollbacks"]["strategy"] == "always"
    assert experiment["rollbacks"], "a fault without its healing step"
    assert all("tolerance" in probe for probe in experiment["steady-state-hypothesis"]["probes"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_reading_follows_every_action_and_none_runs_in_the_background(path: Path) -> None:
    method = _load(path)["method"]
    assert not any(activity.get("background") for activity in method)
    kinds = [activity["type"] for activity in method]
    assert kinds.count("probe") >= 1
    assert kinds[0] == "action"


def test_the_catalogue_is_not_empty() -> None:
    assert {path.stem for path in FILES} >= {"zone_crash", "rollback"}
