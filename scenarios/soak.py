"""Soak: one rate for hours, in phases of one length.

Shows wear: memory that leaks, disks and logs that fill, connections and queues that pile up. Run alone:

    locust -f scenarios/soak.py --scenario-help
    locust -f scenarios/soak.py --headless --host 127.0.0.1:9000 --rate 200 --duration 28800 --ledger soak.arrow

After `warmup` the phases are `period-01`, `period-02` and so on, as near to `--period` as divides the duration evenly.
All are the same load, so a trend from one to the next is the service's (28800 s are 8 hours).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load import phases
from harness.load.options import Option
from harness.load.user import OpenLoopUser

if TYPE_CHECKING:
    import argparse

    from harness.load.spec import Phase


class Soak(OpenLoopUser):
    """One rate, for hours."""

    scenario = "soak"
    options = (
        Option("--rate", 200.0, "requests per second"),
        Option("--duration", 14400.0, "seconds to hold the rate"),
        Option("--period", 900.0, "seconds of each phase"),
        Option("--warmup", 60.0, "seconds at the same rate before that"),
    )

    @staticmethod
    def phases(options: argparse.Namespace) -> tuple[Phase, ...]:
        """Phases `warmup`, then `period-01`, `period-02` and so on."""
        return phases.soak(options.rate, options.duration, options.period, options.warmup)
