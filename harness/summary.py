"""Tells a verdict in a few sentences: headline, weakest area, next action, and what the evidence can't show.

Rule: pure; words a director reads, and nothing that the results don't say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.model import Outcome, Result, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.plan_types import Plan

NAMED_MAX = 3
"""More gates than this are counted in the headline, not named; the list stands right below it."""
INSTRUMENT = "load_generator"
"""Judges the measuring, not the service: how much room it has left is no weakness of what is launched."""
NO_LAUNCH_DECISION = "this is no launch decision"
_LAUNCH = {
    "chaos": ("zone_failure", "fault_tolerance"),
    "rollback": ("rollback",),
    "shadow": ("shadow_agreement",),
}
"""What a launch is decided on beside load, by the gates that judge it."""


def headline(stage: Stage, results: Sequence[Result], not_judged: Sequence[str], *, interrupted: bool) -> str:
    """The decision, for which stage, why, and what was not judged."""
    blocking = [result for result in results if result.blocks]
    waived = sum(result.waiver is not None for result in results)
    words = "NO-GO" if blocking or interrupted else "GO"
    if words == "GO" and waived:
        words += f" with {waived} waiver" + ("s" if waived > 1 else "")
    parts = [f"{words} for stage {stage}: {_why(results, blocking, interrupted=interrupted)}"]
    if stage is Stage.LOAD:
        parts.append(_no_launch(results))
    elif not_judged:
        parts.append("not judged: " + ", ".join(not_judged))
    return "; ".join(parts)


def _no_launch(results: Sequence[Result]) -> str:
    """That stage load decides no launch, and what of that was not judged."""
    judged = {result.gate for result in results}
    lacking = [word for word, gates in _LAUNCH.items() if judged.isdisjoint(gates)]
    if not lacking:
        return NO_LAUNCH_DECISION
    told = " and ".join(filter(None, [", ".join(lacking[:-1]), lacking[-1]]))
    return f"{told} {'was' if len(lacking) == 1 else 'were'} not judged: {NO_LAUNCH_DECISION}"


def _why(results: Sequence[Result], blocking: Sequence[Result], *, interrupted: bool) -> str:
    parts = ["the run was interrupted"] if interrupted else []
    for outcome, verb in ((Outcome.FAIL, "failed"), (Outcome.UNKNOWN, "unknown")):
        names = [result.gate for result in blocking if result.outcome is outcome]
        if names:
            parts.append(f"{verb}: {', '.join(names) if len(names) <= NAMED_MAX else f'{len(names)} gates'}")
    passed = sum(result.outcome is Outcome.PASS for result in results)
    return ", ".join(parts) or f"{passed} of {len(results)} gates passed"


def weakest_area(results: Sequence[Result]) -> str:
    """The area of the worst blocking result, or else the one that used up most of a limit."""
    for outcome in (Outcome.FAIL, Outcome.UNKNOWN):
        for result in results:
            if result.blocks and result.outcome is outcome:
                ending = "" if outcome is Outcome.FAIL else ", which could not be judged"
                return f"{result.area}: {result.title}{ending}"
    rooms = [
        (room, index, result)
        for index, result in enumerate(results)
        for check in result.checks
        if result.outcome is Outcome.PASS and result.gate != INSTRUMENT and (room := check.headroom()) is not None
    ]
    if not rooms:
        return "none stands out"
    room, _, result = min(rooms)
    return f"{result.area}: {result.title}, with {room:.0%} of its limit to spare"


def next_action(results: Sequence[Result], *, interrupted: bool) -> str:
    """One thing to do now."""
    if interrupted:
        return "Run again to the end: this run was interrupted."
    for outcome in (Outcome.FAIL, Outcome.UNKNOWN):
        for result in results:
            if result.blocks and result.outcome is outcome:
                lead = "Fix first" if outcome is Outcome.FAIL else "Find out first whether this holds"
                return f"{lead}: {result.title} ({result.reason}). {result.advice}"
    waived = [result for result in results if result.waiver is not None]
    if waived:
        return f"Launch, and settle what was waived: {', '.join(result.gate for result in waived)}."
    return "Launch; watch first the area with the least to spare."


def limits_of_evidence(plan: Plan, environment: Mapping[str, Any], requests: str) -> tuple[str, ...]:
    """What this run can't show, from where it ran."""
    limits = []
    if plan.target.provider == "local":
        limits.append(
            f"Zones are {environment.get('zones', 'process groups on one machine')}: network between zones, "
            "separate power and separate hardware were not tested."
        )
        if environment.get("load_workers_at") != "other machines":
            limits.append("Load generator, edge and service share one machine: capacity is a lower bound.")
    gpu = str(environment.get("gpu", "unknown"))
    if gpu.startswith("none"):
        limits.append("No GPU was used: TensorRT was not run.")
    if gpu == "unknown":
        limits.append("The environment was not recorded: on what this ran is unknown.")
    if requests:
        limits.append(f"Requests were drawn from {requests}: other inputs were not sent.")
    limits.append("Traffic is synthetic and lasts minutes: wear over hours and real users' patterns were not tested.")
    return tuple(limits)
