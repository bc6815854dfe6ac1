"""Judge and render the golden run anew, after a deliberate change of either: `make golden`."""

from __future__ import annotations

from pathlib import Path

from harness.reporting import judge_run, render_run

GOLDEN = Path(__file__).parent / "run"

if __name__ == "__main__":
    judge_run(GOLDEN)
    render_run(GOLDEN)
