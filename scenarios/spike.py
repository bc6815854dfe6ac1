"""Spike: a step up to several times the usual rate, a hold, and a step back down.

Shows whether a surge is absorbed, and whether the service is itself again as soon as it has passed. Run alone:

    locust -f scenarios/spike.py --scenario-help
    locust -f scenarios/spike.py --headless --host 127.0.0.1:9000 --rate 200 --peak-rate 600 --peak 10

The phases are `before`, `peak` and `after`. A queue that builds up in the peak shows in `after`, because response
times count from the instant at which a request was due.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load import phases
from harness.load.options import Option
from harness.load.user import OpenLoopUser

if TYPE_CHECKING:
    import argparse

    from harness.load.spec import Phase


class Spike(OpenLoopUser):
    """A step up, a hold, a step down."""

    scenario = "spike"
    options = (
        Option("--rate", 200.0, "requests per second before and after the spike"),
        Option("--peak-rate", 600.0, "requests per second in the spike"),
        Option("--before", 5.0, "seconds before the spike"),
        Option("--peak", 10.0, "seconds of the spike"),
        Option("--after", 5.0, "seconds after the spike"),
    )

    @staticmethod
    def phases(options: argparse.Namespace) -> tuple[Phase, ...]:
        """Phases `before`, `peak` and `after`."""
        return phases.spike(options.rate, options.peak_rate, options.before, options.peak, options.after)
