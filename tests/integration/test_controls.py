"""One trial of each control; `python -m tests.controls` does ten and keeps count."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.controls.trial import CONTROLS
from tests.integration.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(CONTROLS))
def test_the_control_ends_as_it_must_for_the_right_reason(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.controls.trial", name, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["right"], done.stdout
