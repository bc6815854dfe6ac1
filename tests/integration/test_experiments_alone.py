"""Every experiment of the catalogue runs alone by plain `chaos run` on a fleet that `gonogo fleet up` started.

Rule: one fleet for the module. Each experiment must prove its fault and its end, and leave the fleet whole.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.processes import PLAN, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long

EXPERIMENTS = sorted((ROOT / "experiments" / "local").glob("*.json"))
SHORT = {"GONOGO_BEFORE_S": "0.2", "GONOGO_HOLD_S": "0.5", "GONOGO_AFTER_S": "0.2", "GONOGO_DELAY_S": "0.3"}


def _run(*command: str, folder: Path, limit_s: float = 60, **variables: str) -> subprocess.CompletedProcess[str]:
    own = {"GONOGO_FLEET": str(folder / "s" / "fleet.sock"), "GONOGO_FAULTS": str(folder / "faults")}
    return subprocess.run(
        (sys.executable, "-m", *command),
        cwd=folder,
        env=os.environ | own | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a fleet that is up."""
    folder = tmp_path_factory.mktemp("f")
    up = _run("harness.cli", "fleet", "up", str(PLAN), folder=folder)
    assert up.returncode == 0, up.stderr
    try:
        yield folder
    finally:
        assert _run("harness.cli", "fleet", "down", folder=folder).returncode == 0


def _status(folder: Path) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(_run("harness.cli", "fleet", "status", "--json", folder=folder).stdout)
    return status


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_it_proves_its_fault_and_its_end_and_leaves_the_fleet_whole(folder: Path, path: Path) -> None:
    arguments = ["--no-version-check", "--settings", "none.yaml", "--log-file", "chaos.log", "run"]
    done = _run("chaostoolkit", *arguments, "--journal-path", "journal.json", str(path), folder=folder, **SHORT)
    assert done.returncode == 0, done.stdout + done.stderr
    journal = json.loads((folder / "journal.json").read_bytes())
    assert (journal["status"], journal["deviated"]) == ("completed", False)
    activities = journal["run"] + journal["rollbacks"]
    assert {item["activity"]["name"]: item["status"] for item in activities if item["status"] != "succeeded"} == {}
    assert {
        item["activity"]["name"] for item in activities if "tolerance" in item["activity"] and not item["output"]
    } == set()
    assert list((folder / "faults").glob("*.json")) == [], "the journal of open faults is empty"
    zones = _status(folder)["zones"]
    assert {(zone["state"], *zone["faults"]) for zone in zones.values()} == {("up",)}
