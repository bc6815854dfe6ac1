"""Reads a load of several parts from one line, as in "warmup 200x5, peak 600x10, climb 200-800x30".

Rule: pure. A part is NAME RATExTIME (a rate held), NAME RATE-RATExTIME (a linear ramp), or NAME RATE-RATE/STEPSxTIME (a
staircase of so many steps). Rates are requests per second; TIME is that of the whole part, in seconds, or with a unit
as in 500ms, 30s, 10m, 8h. What can't be read is an error that names the part and shows a right one.
"""

from __future__ import annotations

import re

from harness.load.phases import staircase
from harness.load.spec import Phase

SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
EXAMPLE = '"warmup 200x5, peak 600x10, climb 200-800x30"'

_NUMBER = r"\d+(?:\.\d+)?"
_PART = re.compile(
    rf"(?P<name>[a-zA-Z][\w-]*)\s+(?P<first>{_NUMBER})\s*(?:-\s*(?P<last>{_NUMBER})\s*(?:/\s*(?P<steps>\d+)\s*)?)?"
    rf"x\s*(?P<time>{_NUMBER})\s*(?P<unit>ms|s|m|h|)",
    re.ASCII,
)


def piecewise(text: str) -> tuple[Phase, ...]:
    """The phases that `text` asks for, in its order. Raises ValueError."""
    phases: dict[str, Phase] = {}
    for number, part in enumerate(text.split(","), start=1):
        where = f'part {number}, "{part.strip()}"'
        for phase in _phases(where, part.strip()):
            if phase.name in phases:
                again = f"{part.split()[0]}-2 200x5"
                raise ValueError(f'{where}: there is a phase {phase.name} already; right would be "{again}"')
            phases[phase.name] = phase
    return tuple(phases.values())


def _phases(where: str, part: str) -> tuple[Phase, ...]:
    found = _PART.fullmatch(part)
    if found is None:
        raise ValueError(f"{where}, is not NAME RATExTIME or NAME RATE-RATExTIME; right would be {EXAMPLE}")
    name, first, last = found["name"], float(found["first"]), float(found["last"] or found["first"])
    duration_s = float(found["time"]) * SECONDS[found["unit"]]
    try:
        if found["steps"] is None:
            return (Phase(name, first, duration_s, None if found["last"] is None else last),)
        steps = staircase(first, last, int(found["steps"]), step_s=1.0)
        return tuple(Phase(f"{name}-{step.name}", step.rate_rps, duration_s / len(steps)) for step in steps)
    except ValueError as error:
        raise ValueError(f"{where}: {error}; right would be {EXAMPLE}") from None
