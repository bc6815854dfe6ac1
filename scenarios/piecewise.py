"""Piecewise: any load made of rates that hold, linear ramps and staircases, one after the other.

Shows how the service bears a day of its own, told in one line. Run alone:

    locust -f scenarios/piecewise.py --scenario-help
    locust -f scenarios/piecewise.py --headless --host 127.0.0.1:9000 --phases "calm 200x5, climb 200-800x30"

Each part is a name and one of

    RATExTIME              a rate that holds             peak 600x10
    RATE-RATExTIME         a linear ramp, up or down     climb 200-800x30
    RATE-RATE/STEPSxTIME   a staircase of equal steps    stairs 200-800/4x60

Rates are requests per second. TIME is that of the whole part: seconds, or with a unit as in 500ms, 30s, 10m, 8h.
Each part is a phase of its name; each step of a staircase is one too (`stairs-step-0200`).
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from harness.load.options import Option
from harness.load.piecewise import piecewise
from harness.load.user import OpenLoopUser

if TYPE_CHECKING:
    from harness.load.spec import Phase


def parts(text: str) -> str:
    """`text` as it is, refused on the command line when it can't be read; Locust's web page wants a plain value."""
    try:
        piecewise(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


class Piecewise(OpenLoopUser):
    """Parts one after the other."""

    scenario = "piecewise"
    options = (
        Option("--phases", "warmup 200x5, climb 200-600x20, peak 600x10, after 200x10", "parts, as told above", parts),
    )

    @staticmethod
    def phases(options: argparse.Namespace) -> tuple[Phase, ...]:
        """One phase for each part or step."""
        return piecewise(options.phases)
