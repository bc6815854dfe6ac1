"""Every experiment file on Google Cloud is valid as it lies there, says what it is, and heals in its rollbacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.experiments.gcp.cases import CASES

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "experiments" / "gcp").glob("*.json"))
ROW = "| `{}` |"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_file_says_that_it_is_a_contract_and_undoes_its_fault_in_method_and_rollbacks(path: Path) -> None:
    experiment = json.loads(path.read_text())
    (extension,) = experiment["extensions"]
    assert extension["name"] == "gonogo"
    assert extension["fault"] == path.stem
    assert extension["label"].startswith("contract against a fake: ")
    assert experiment["runtime"]["rollbacks"]["strategy"] == "always"
    kinds = [activity["type"] for activity in experiment["method"]]
    assert kinds == ["action", "probe", "probe", "action", "probe"]
    (rollback,) = experiment["rollbacks"]
    assert rollback["provider"]["arguments"] == {"fault": path.stem, "subject": extension["subjects"][0]}
    assert all("tolerance" in probe for probe in experiment["steady-state-hypothesis"]["probes"])


def test_every_file_has_a_case_and_its_lines_in_the_docs() -> None:
    names = {path.stem for path in FILES}
    assert names == {build.__name__ for build in CASES}
    docs = (ROOT / "docs" / "gcp.md").read_text()
    assert all(docs.count(ROW.format(name)) == 2 for name in names), "what it does, and its permissions"


@pytest.mark.long
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_chaos_toolkit_accepts_the_file_without_any_setting(path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "--settings", str(tmp_path / "none.yaml")]
    command += ["--log-file", str(tmp_path / "chaos.log"), "validate", str(path)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GONOGO_")}
    done = subprocess.run(
        command, env=kept | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
