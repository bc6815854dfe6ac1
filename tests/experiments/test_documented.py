"""docs/experiments.md names every experiment, so that a new one is not left out."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted((ROOT / "experiments" / "local").glob("*.json")), ids=lambda path: path.stem)
def test_the_experiment_has_its_row(path: Path) -> None:
    assert f"\n| `{path.stem}` |" in (ROOT / "docs" / "experiments.md").read_text()
