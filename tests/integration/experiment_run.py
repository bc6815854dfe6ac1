"""`gonogo run` with one experiment and nothing else: for tests of what becomes of an experiment that is killed."""

from __future__ import annotations

import dataclasses
import sys

from harness import collect, profiles
from harness.cli import run_cli
from harness.collectors import Collector, all_collectors
from tests.integration.short_run import SHORT

EXPERIMENT = "zone_crash"
PROFILE = dataclasses.replace(SHORT, fault_before_s=1, fault_hold_s=2, fault_after_s=6)


def only_the_experiment() -> tuple[Collector, ...]:
    """Its collector, and those that write down what it did."""
    return tuple(item for item in all_collectors() if item.ids == (EXPERIMENT,) or item.phase == "after")


if __name__ == "__main__":
    profiles.PROFILES["quick"] = PROFILE
    collect.all_collectors = only_the_experiment
    sys.exit(run_cli(sys.argv[1:]))
