"""How long each part of a run takes, by profile; rates come from the Plan.

Rule: a profile changes durations, never limits. `quick` gathers just enough for every gate to decide: at 200 requests
a second, 99.95 % availability at 95 % confidence wants 5,990 clean requests, and 99.9 % of first attempts at the
candidate, which only the shadow and the promotion reach, 2,995.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Durations in seconds; `search_steps` is how many more rates may be tried after the staircase's.

    `catalogue` says whether the Plan's experiments are run that have no gate of their own: each takes as long as a
    fault does, some 22 s with its start.
    """

    name: str
    baseline_s: float
    warmup_s: float
    sustained_s: float
    shadow_s: float
    spike_before_s: float
    spike_peak_s: float
    spike_after_s: float
    staircase_steps: int
    staircase_step_s: float
    search_steps: int
    fault_before_s: float
    fault_hold_s: float
    fault_after_s: float
    switch_before_s: float
    switch_hold_s: float
    switch_after_s: float
    catalogue: bool


PROFILES = {
    "quick": Profile(
        name="quick",
        baseline_s=2,
        warmup_s=3,
        sustained_s=36,
        shadow_s=16,
        spike_before_s=3,
        spike_peak_s=10,
        spike_after_s=5,
        staircase_steps=5,
        staircase_step_s=4,
        search_steps=1,
        fault_before_s=2,
        fault_hold_s=5,
        fault_after_s=7,
        switch_before_s=2,
        switch_hold_s=3,
        switch_after_s=3,
        catalogue=False,
    ),
    "standard": Profile(
        name="standard",
        baseline_s=10,
        warmup_s=5,
        sustained_s=120,
        shadow_s=30,
        spike_before_s=10,
        spike_peak_s=20,
        spike_after_s=15,
        staircase_steps=9,
        staircase_step_s=10,
        search_steps=5,
        fault_before_s=2,
        fault_hold_s=5,
        fault_after_s=7,
        switch_before_s=5,
        switch_hold_s=10,
        switch_after_s=10,
        catalogue=True,
    ),
}


def runs_catalogue(name: str) -> bool:
    """Whether the profile of that name runs the catalogue; one that is not known is taken to, so that it is missed."""
    return name not in PROFILES or PROFILES[name].catalogue
