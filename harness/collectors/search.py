"""Searches on from where the staircase ended: higher while everything holds, else between what held and what did not.

Rule: each rate is a scenario of its own ("search-1", "search-2" …) in the ledger, where the gate judges it with the
staircase's steps. What is found here only chooses the next rate; it is no evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.calibration import refusal
from harness.capacity import GROWTH, Capacity, Step, capacity, next_rate, search_name, step
from harness.collectors import CollectError, Collector, Context
from harness.collectors.driving import finish, load_spec, recorded, start
from harness.load.spec import Phase
from harness.validity import STAIRCASE, pacing

if TYPE_CHECKING:
    from harness.load.spec import LoadSpec
    from harness.model import Evidence


def collect(context: Context) -> tuple[Evidence, ...]:
    """Try as many rates as the profile has for it, or fewer."""
    try:
        steps = [item for spec, _ in context.loads if spec.scenario == STAIRCASE for item in _steps(context, spec)]
        for number in range(1, context.profile.search_steps + 1):
            found = capacity(steps)
            rate_rps = next_rate(found, context.able_rps)
            if rate_rps is None:
                _note_refusal(context, found)
                break
            steps += _searched(context, search_name(number), rate_rps)
    except CollectError:
        pass  # the ledger tells what broke, and what was measured before stands
    return ()


def _note_refusal(context: Context, found: Capacity) -> None:
    """Everything held, and the generator can do no more: that ended the search, not the service."""
    refused = refusal(context.able_rps, found.held_rps * GROWTH)
    if found.held_rps and found.stopped_rps is None and refused:
        context.refused.setdefault(STAIRCASE, refused)


def _searched(context: Context, name: str, rate_rps: float) -> list[Step]:
    """Hold one rate for as long as a step of the staircase."""
    spec = load_spec(context, name, (Phase("hold", rate_rps, context.profile.staircase_step_s),))
    context.progress.step(f"Load: {name}, {rate_rps:g} requests a second", spec.duration_s + 2)
    try:
        finish(start(context, spec, "staircase.py"))
    except CollectError as error:
        context.load_errors[name] = str(error)
        raise
    return _steps(context, spec)


def _steps(context: Context, spec: LoadSpec) -> list[Step]:
    rows, _ = recorded(spec)
    found = []
    for phase in spec.phases:
        mine = rows.of(spec.scenario, phase.name)
        objections = tuple(pacing(context.plan, spec.scenario, mine))
        found.append(step(context.plan, phase.rate_rps, mine, objections))
    return found


COLLECTORS = (Collector(ids=(), order=31, collect=collect),)
