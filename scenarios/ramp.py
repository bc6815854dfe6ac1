"""Ramp: a rate that rises (or falls) linearly, without steps, and may hold its last value.

Shows how the service follows a demand that grows: whether it scales out in time, and at which rate it begins to bend.
For a capacity that can be judged, each rate must be held: see `staircase.py`. Run alone:

    locust -f scenarios/ramp.py --scenario-help
    locust -f scenarios/ramp.py --headless --host 127.0.0.1:9000 --from-rate 0 --to-rate 800 --duration 60 --hold 10

The phases are `ramp` and, with `--hold`, `hold`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load import phases
from harness.load.options import Option
from harness.load.user import OpenLoopUser

if TYPE_CHECKING:
    import argparse

    from harness.load.spec import Phase


class Ramp(OpenLoopUser):
    """A linear ramp."""

    scenario = "ramp"
    options = (
        Option("--from-rate", 0.0, "requests per second at the start"),
        Option("--to-rate", 800.0, "requests per second at the end; below the start, the rate falls"),
        Option("--duration", 60.0, "seconds from the one to the other"),
        Option("--hold", 0.0, "seconds at the last rate after that"),
    )

    @staticmethod
    def phases(options: argparse.Namespace) -> tuple[Phase, ...]:
        """Phases `ramp` and `hold`."""
        return phases.ramp(options.from_rate, options.to_rate, options.duration, options.hold)
