"""One sentence under each experiment's chart: what was broken, what callers noticed, and how soon it was over.

Rule: pure; says what was measured and judges nothing: where it did not pass, the judge's own reason is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.numbers import number, quantity
from reports.wording import counted, listed

if TYPE_CHECKING:
    from reports.experiments import Experiment, Try


def reading(item: Try) -> str:
    """The sentence of one try."""
    match item.outcome:
        case "PASS":
            return _survived(item)
        case "FAIL":
            return f"Did not go as promised: {item.reason}."
        case _:
            return f"This experiment proves nothing: {item.reason}."


def tries_words(experiment: Experiment) -> str:
    """Which try is drawn, where there were several."""
    if len(experiment.tries) == 1:
        return ""
    return f"Done {len(experiment.tries)} times; the worst, number {experiment.worst.repeat}, is shown."


def _survived(item: Try) -> str:
    then = [part for part in (_detected(item), _recovered(item)) if part]
    told = f": {listed(then)}" if then else ""
    besides = "".join(f"; {part}" for part in (_others(item), _retried(item)) if part)
    return f"{_lost(item)}{told}{besides}."


def _lost(item: Try) -> str:
    if item.lost is None:
        return "How many requests were lost was not measured"
    low, high = item.lost
    if not high:
        return "No request was lost"
    span = counted(high, "request") if low == high else f"{number(low)} to {counted(high, 'request')}"
    return f"{span} lost, no more than the Plan allows"


def _detected(item: Try) -> str:
    if item.ttd_s is None:
        return ""
    return f"the edge stopped sending to {listed(item.subjects) or 'it'} after {quantity(item.ttd_s, 's')}"


def _recovered(item: Try) -> str:
    if item.ttr_s is None:
        return ""
    if not item.ttr_s:
        return (
            "the objectives were met all the while" if not item.over_slo else "the objectives were met from the start"
        )
    return f"the objectives were met again after {quantity(item.ttr_s, 's')}"


def _others(item: Try) -> str:
    """What no count of lost requests shows: answers of a version that is not to launch, right or wrong."""
    if not item.other_answers:
        return ""
    return f"{counted(item.other_answers, 'answer')} came from another version than the one to launch"


def _retried(item: Try) -> str:
    """What the edge's retries hid from callers."""
    if not item.first_attempt_errors:
        return ""
    times = "" if item.retry_amplification is None else f", {number(item.retry_amplification, 4)} attempts a request"
    return f"{counted(int(item.first_attempt_errors), 'first attempt')} failed and the edge's retries hid that{times}"
