"""The words of a report: what outcomes, scenarios, faults and facts are called, for a director and for an engineer.

Rule: pure; every sentence says only what the verdict holds. Marks stand beside words,
never alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.model import Decision, Outcome, Result, Verdict
from reports.numbers import number

WORST_FIRST = {Outcome.FAIL: 0, Outcome.UNKNOWN: 1, Outcome.PASS: 2}
_GIBIBYTE = 2**30
BROKEN = "broken on purpose"
"""What all experiments are called together."""
_SCENARIOS = {
    "sustained": "sustained load",
    "shadow": "shadow",
    "spike": "spike",
    "staircase": "staircase",
    "zone_crash": "zone crash",
    "rollback": "rollback",
    "spike_in_zone_loss": "zone lost in a spike",
    "worse_model": "silently worse model",
    "nothing": "nothing broken (control)",
}
_FAULTS = {
    "zone_crash": "killed",
    "zone_freeze": "frozen",
    "zone_black_hole": "cut off",
    "zone_errors": "answers with errors",
    "zone_latency": "answers late",
    "two_zones_lost": "killed",
    "spike_in_zone_loss": "killed in a spike",
    "graceful_drain": "asked to leave",
    "memory_cap": "gets no more memory",
    "disk_full": "can write no file",
    "edge_restart": "restarted",
    "expired_certificate": "with an expired certificate",
    "revoked_key": "revoked",
    "tampered_model": "with a tampered model",
    "unloadable_model": "given an unloadable model",
    "worse_model": "with a worse model",
    "clock_skew": "with a wrong clock",
    "rollback": "in service",
    "promoted": "in service",
    "nothing": "broken",
}
"""What was done, after the name of what it was done to."""

_CHECKS = {
    "response_p99": "response time, p99",
    "engine_p99": "engine's own latency, p99",
    "failed": "requests that failed",
    "lost": "requests lost (LOST)",
    "ttd": "time to detect (TTD)",
    "ttr": "time to recover (TTR)",
    "return": "share of the zone once it is back",
    "promotion": "switch to the candidate",
    "rollback": "switch back",
    "experiment": "done as its file says",
    "over_slo": "requests over the latency objective",
    "budget": "error budget of 30 days spent",
    "retry_amplification": "attempts beyond the first, of all requests",
    "answers": "golden answers, largest difference",
    "gain": "AUC above the baseline, low end",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """How an outcome or a decision is shown: a symbol, a word, and the style class."""

    symbol: str
    word: str
    style: str


OUTCOMES = {
    Outcome.PASS: Mark("✓", "Passed", "pass"),
    Outcome.FAIL: Mark("✗", "Failed", "fail"),
    Outcome.UNKNOWN: Mark("?", "Unknown", "unknown"),
}


def decision_mark(verdict: Verdict) -> Mark:
    """GO or NO-GO, with its symbol."""
    if verdict.decision is Decision.GO:
        return Mark("✓", "GO", "pass")
    return Mark("✗", "NO-GO", "fail")


def stage_words(verdict: Verdict) -> str:
    """The headline between the word that stands large and its first colon: for which stage, with how many waivers."""
    return verdict.headline.removeprefix(verdict.decision.value).partition(": ")[0].strip()


def headline_detail(verdict: Verdict) -> str:
    """What the headline says after its first colon."""
    detail = verdict.headline.partition(": ")[2]
    return detail[:1].upper() + detail[1:]


def why(verdict: Verdict) -> str:
    """The one sentence that explains the decision to someone who knows no gate by name."""
    blocking = [result for result in verdict.results if result.blocks]
    if blocking:
        return _stopping(blocking, sum(result.required for result in verdict.results))
    if verdict.decision is Decision.NO_GO:
        return "No required gate failed, yet the run did not reach its end: what it did not see, it does not prove."
    waived = sum(result.waiver is not None for result in verdict.results)
    if waived:
        return (
            f"{counted(waived, 'gate')} did not pass; a named owner has accepted that, until a date. All others passed."
        )
    return "Every required gate passed on the evidence of this run; none failed, none stayed unknown, none was waived."


def worst_first(results: tuple[Result, ...]) -> tuple[Result, ...]:
    """Blocking gates, then other failures and unknowns, then what passed; otherwise in the verdict's order."""
    return tuple(sorted(results, key=lambda result: (not result.blocks, WORST_FIRST[result.outcome])))


def counted(count: int, noun: str) -> str:
    """A count with its noun, in the plural where it must be."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def scenario_words(name: str) -> str:
    """What a scenario is called in a sentence; a repeat is numbered."""
    name, _, repeat = name.partition("#")
    return _SCENARIOS.get(name, name.replace("_", " ")) + (f", repeat {repeat}" if repeat else "")


def scenario_label(name: str) -> str:
    """What stands above a scenario's stretch of a chart; the short steps of one search share a label."""
    search, _, number = name.partition("search-")
    if number and not search:
        return "search" if number == "1" else ""
    return scenario_words(name)


def check_words(gate: str, name: str) -> str:
    """What a check is called; some bear the names of scenarios, and those of faults begin with an experiment's."""
    if gate == "load_generator":
        return scenario_words(name)
    if gate == "fault_tolerance":
        return _fault_check_words(name)
    return _CHECKS.get(name, name.replace("_", " "))


def not_judged_name(item: Mapping[str, str]) -> str:
    """What an entry of `not_judged` is about: its title where it has one."""
    return item.get("title") or item["gate"]


def fault_words(kind: str, subject: str) -> str:
    """What was done to whom, short enough for a label."""
    if kind in _FAULTS:
        return f"{subject} {_FAULTS[kind]}"
    return f"{subject}: {kind.replace('_', ' ')}"


def broken_words(name: str, subjects: Sequence[str]) -> str:
    """What an experiment did to whom."""
    return fault_words(name, listed(subjects)) if subjects else experiment_words(name)


def experiment_words(name: str) -> str:
    """What an experiment is called where its name stands alone."""
    words = scenario_words(name)
    return words[:1].upper() + words[1:]


def listed(parts: Sequence[str]) -> str:
    """Names as a sentence lists them."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def shortened(text: str, letters: int) -> str:
    """At most so many letters; a longer text ends in an ellipsis."""
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def facts(environment: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The environment as names and texts, in its own order."""
    return tuple(_fact(name, value) for name, value in environment.items())


def _fact(name: str, value: Any) -> tuple[str, str]:
    if name.endswith("_bytes") and isinstance(value, int):
        return name.removesuffix("_bytes").replace("_", " "), f"{number(value / _GIBIBYTE)} GiB"
    if name == "gpu":
        return "GPU", "none" if value in {False, None, ""} else fact_text(value)
    return name.replace("_", " "), fact_text(value)


def fact_text(value: Any) -> str:
    """A fact as text: yes or no, numbers readable, lists by commas, groups as name and value."""
    match value:
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return number(value)
        case Mapping():
            return ", ".join(f"{name} {fact_text(item)}" for name, item in value.items()) or "none"
        case list() | tuple():
            return ", ".join(fact_text(item) for item in value) or "none"
        case _:
            return "not known" if value is None else str(value)


def _fault_check_words(name: str) -> str:
    """`zone_freeze_lost` as "Zone freeze: requests lost (LOST)", `tampered_model_answers_stay_right` likewise."""
    known = [item for item in (*_FAULTS, *_SCENARIOS) if name.startswith(f"{item}_")]
    ending = next((item for item in _CHECKS if name.endswith(f"_{item}")), "")
    experiment = max(known, key=len, default=name.removesuffix(f"_{ending}"))
    check = name.removeprefix(experiment).removeprefix("_")
    return f"{experiment_words(experiment)}: {_CHECKS.get(check, check.replace('_', ' '))}" if check else name


def _stopping(blocking: list[Result], required: int) -> str:
    failed = sum(result.outcome is Outcome.FAIL for result in blocking)
    unknown = len(blocking) - failed
    parts = [f"{failed} failed"] if failed else []
    parts += [f"{unknown} could not be judged"] if unknown else []
    each = "That alone stops" if len(blocking) == 1 else "Each of them alone stops"
    return f"Of {counted(required, 'required gate')}, {' and '.join(parts)}. {each} this stage."
