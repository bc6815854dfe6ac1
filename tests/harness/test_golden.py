"""The golden run re-judges and re-renders byte for byte."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from harness.reporting import judge_run, render_run
from tests.golden.refresh import GOLDEN

if TYPE_CHECKING:
    from pathlib import Path


def test_the_golden_run_judges_and_renders_to_the_same_bytes(tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(GOLDEN, copy)
    (copy / "verdict.json").unlink()
    (copy / "report.html").unlink()
    judge_run(copy)
    render_run(copy)
    for name in ("verdict.json", "report.html"):
        assert (copy / name).read_bytes() == (GOLDEN / name).read_bytes(), f"{name} differs; if meant: make golden"


def test_judging_twice_gives_identical_verdicts(tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(GOLDEN, copy)
    judge_run(copy)
    first = (copy / "verdict.json").read_bytes()
    judge_run(copy)
    assert (copy / "verdict.json").read_bytes() == first
