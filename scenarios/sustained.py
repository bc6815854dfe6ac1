"""Sustained load: one rate, held, after a warm-up that is recorded but kept apart.

Shows whether the service holds its latency and availability at the traffic expected at launch. Run alone:

    locust -f scenarios/sustained.py --scenario-help
    locust -f scenarios/sustained.py --headless --host 127.0.0.1:9000 --rate 200 --duration 30

Arrivals are open-loop and Poisson: a slow answer never holds back the next request, and response times count from
the instant at which a request was due. `--ledger FILE` keeps one row for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load import phases
from harness.load.options import Option
from harness.load.user import OpenLoopUser

if TYPE_CHECKING:
    import argparse

    from harness.load.spec import Phase


class Sustained(OpenLoopUser):
    """One rate, held."""

    scenario = "sustained"
    options = (
        Option("--rate", 200.0, "requests per second"),
        Option("--duration", 30.0, "seconds to hold the rate"),
        Option("--warmup", 3.0, "seconds at the same rate before that"),
    )

    @staticmethod
    def phases(options: argparse.Namespace) -> tuple[Phase, ...]:
        """Phases `warmup` and `hold`."""
        return phases.sustained(options.rate, options.duration, options.warmup)
