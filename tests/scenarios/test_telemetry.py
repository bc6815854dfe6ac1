"""No OpenTelemetry by default: a load measures, and nothing beside it wakes up while it does."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.scenarios.test_alone import SCENARIOS, locust, plain_environment

if TYPE_CHECKING:
    from pathlib import Path

ENGINE = "import harness.load.generator, harness.load.user"


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A package called opentelemetry that leaves a mark where it is imported, whether the real one is there or not."""
    package = tmp_path / "path" / "opentelemetry"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import pathlib\n(pathlib.Path(__file__).parents[2] / 'imported').touch()\n")
    return tmp_path


def run(command: list[str], trap: Path) -> str:
    environment = plain_environment() | {"PYTHONPATH": f"{trap / 'path'}:{SCENARIOS.parent}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_trap_would_catch_it(trap: Path) -> None:
    run([sys.executable, "-c", f"{ENGINE}, opentelemetry"], trap)
    assert (trap / "imported").exists()


def test_the_engine_comes_without_opentelemetry(trap: Path) -> None:
    run([sys.executable, "-c", ENGINE], trap)
    assert not (trap / "imported").exists()


def test_a_scenario_comes_without_opentelemetry(trap: Path) -> None:
    assert "--warmup" in run(locust("sustained", "--scenario-help"), trap)
    assert not (trap / "imported").exists()
