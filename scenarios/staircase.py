"""Staircase: equal steps from one rate to another, each held long enough to be judged.

Finds the highest rate at which the SLO holds. Run alone:

    locust -f scenarios/staircase.py --scenario-help
    locust -f scenarios/staircase.py --headless --host 127.0.0.1:9000 --from-rate 200 --to-rate 1000 --steps 5

Each step is a phase named after its rate (`step-0200`, `step-0400` and so on). Where the generator falls behind before
the service does, the ledger says so, and the highest step that counts is a lower bound of the capacity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load import phases
from harness.load.options import Option
from harness.load.user import OpenLoopUser

if TYPE_CHECKING:
    import argparse

    from harness.load.spec import Phase


class Staircase(OpenLoopUser):
    """Equal steps of rates."""

    scenario = "staircase"
    options = (
        Option("--from-rate", 200.0, "requests per second of the first step"),
        Option("--to-rate", 1000.0, "requests per second of the last step; below the first one, it goes down"),
        Option("--steps", 5, "number of steps", int),
        Option("--step-duration", 5.0, "seconds of each step"),
    )

    @staticmethod
    def phases(options: argparse.Namespace) -> tuple[Phase, ...]:
        """One phase for each step."""
        return phases.staircase(options.from_rate, options.to_rate, options.steps, options.step_duration)
