"""`gonogo run` with every part as short as it can be: for tests of what a run starts and stops, not of verdicts."""

from __future__ import annotations

import dataclasses
import sys

from harness import profiles
from harness.cli import run_cli

SHORT = dataclasses.replace(
    profiles.PROFILES["quick"],
    baseline_s=0.3,
    warmup_s=0.5,
    sustained_s=6,
    shadow_s=1,
    spike_before_s=0.5,
    spike_peak_s=4,
    spike_after_s=0.5,
    staircase_steps=2,
    staircase_step_s=4,
    search_steps=0,
    fault_before_s=0.5,
    fault_hold_s=2,
    fault_after_s=6,
    switch_before_s=0.5,
    switch_hold_s=1,
    switch_after_s=1,
)

SHORT_CATALOGUE = dataclasses.replace(
    SHORT,
    name="standard",
    sustained_s=1,
    spike_peak_s=1,
    staircase_steps=1,
    staircase_step_s=1,
    fault_before_s=2,
    fault_hold_s=5,
    fault_after_s=7,
    catalogue=True,
)
"""Little load beside the experiments, and those as long as they are in the standard profile."""

if __name__ == "__main__":
    profiles.PROFILES["quick"] = SHORT
    profiles.PROFILES["standard"] = SHORT_CATALOGUE
    sys.exit(run_cli(sys.argv[1:]))
