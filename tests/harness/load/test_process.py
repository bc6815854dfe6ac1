"""A scenario that fails is an error with the end of its log; nothing of the caller's Locust settings gets in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from harness.fleet.tether import tethered
from harness.load.process import ScenarioError, start_scenario
from tests.integration.load_support import small_spec

if TYPE_CHECKING:
    from pathlib import Path


def test_failure_shows_the_end_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('this file is broken')")
    scenario = start_scenario(small_spec(tmp_path), tmp_path, tethered=tethered, file=tmp_path / "broken.py")
    with pytest.raises(ScenarioError, match="this file is broken"):
        scenario.wait(20)


def test_scenario_that_does_not_end_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "stuck.py").write_text("import time; time.sleep(60)")
    scenario = start_scenario(small_spec(tmp_path), tmp_path, tethered=tethered, file=tmp_path / "stuck.py")
    begun = time.monotonic()
    with pytest.raises(ScenarioError, match="did not end within"):
        scenario.wait(0.5)
    assert time.monotonic() - begun < 6
    assert scenario.process.poll() is not None


def test_callers_own_locust_settings_stay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCUST_RUN_TIME", "1s")
    (tmp_path / "show.py").write_text(
        "import os; raise SystemExit(sorted(k for k in os.environ if 'LOCUST_' in k).__str__())"
    )
    scenario = start_scenario(small_spec(tmp_path), tmp_path, tethered=tethered, file=tmp_path / "show.py")
    with pytest.raises(ScenarioError, match=r"\['LOCUST_SKIP_MONKEY_PATCH'\]"):
        scenario.wait(20)
