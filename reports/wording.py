"""The words of a report: what outcomes, scenarios, faults and facts are called, for a director and for an engineer.

Rule: pure; every sentence says only what the verdict holds. Marks stand beside words, never alone, and never by colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.model import Decision, Outcome, Result, Verdict
from reports.numbers import number

_WORST_FIRST = {Outcome.FAIL: 0, Outcome.UNKNOWN: 1, Outcome.PASS: 2}
_GIBIBYTE = 2**30
_SCENARIOS = {
    "sustained": "sustained load",
    "shadow": "shadow",
    "spike": "spike",
    "ramp": "ramp",
    "zone_crash": "zone crash",
    "rollback": "rollback",
}
_FAULTS = {
    "zone_crash": "{subject} killed",
    "zone_freeze": "{subject} frozen",
    "rollback": "{subject} in service",
    "promoted": "{subject} in service",
}

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
    "answers": "golden answers, largest difference",
    "gain": "AUC above the baseline, low end",
}

GLOSSARY = (
    (
        "GO, NO-GO",
        "The decision for one stage. GO only if every required gate passes or is waived; no score is averaged.",
    ),
    ("Gate", "One criterion of a launch. It passes, fails, or stays unknown; unknown is never GO."),
    ("Stage", "What the launch is for: internal, beta or general availability. Each requires a fixed set of gates."),
    ("Waiver", "A named owner's dated, expiring acceptance of one gate that fails or is unknown."),
    (
        "Evidence",
        "What was observed in this run, kept in files named by their SHA-256, so that it can be judged again.",
    ),
    ("Interval", "Where the true value lies with the confidence that the Plan asks for; few samples make it wide."),
    ("n", "How many observations a claim rests on."),
    ("Response time", "From the moment a request was due to its answer. Waiting counts, so a stall can't hide."),
    ("p50, p99", "Half, or 99 of 100, of the requests were answered at least this fast."),
    ("Zone", "A part of the service that can fail alone. Locally: a group of server processes on one machine."),
    (
        "LOST",
        "Requests that failed because of a fault, counted on the client's side, indeterminate ones as an interval.",
    ),
    (
        "TTD, TTR",
        "From the fault to the edge no longer sending there; to the objectives being met again, and kept for 5 s.",
    ),
    ("First attempt", "What a request met before the edge retried it elsewhere. Retries hide failures from clients."),
    ("Shadow", "Live traffic copied to the next version, whose answers are compared and thrown away."),
)


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


def decision_note(verdict: Verdict) -> str:
    """The headline without the word that stands large beside it."""
    return verdict.headline.removeprefix(verdict.decision.value).strip()


def why(verdict: Verdict) -> str:
    """The one sentence that explains the decision by counting required gates."""
    required = [result for result in verdict.results if result.required]
    passed = sum(result.outcome is Outcome.PASS for result in required)
    waived = sum(result.waiver is not None for result in required)
    base = f"{passed} of {counted(len(required), 'required gate')} passed on the evidence of this run"
    if verdict.decision is Decision.GO:
        return f"{base}, and {_accepted(waived)}." if waived else f"{base}."
    blocking = [result for result in required if result.blocks]
    return f"{base}; {_stopping(blocking)}."


def worst_first(results: tuple[Result, ...]) -> tuple[Result, ...]:
    """Blocking gates, then other failures and unknowns, then what passed; otherwise in the verdict's order."""
    return tuple(sorted(results, key=lambda result: (not result.blocks, _WORST_FIRST[result.outcome])))


def counted(count: int, noun: str) -> str:
    """A count with its noun, in the plural where it must be."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def scenario_words(name: str) -> str:
    """What a scenario is called in a sentence."""
    return _SCENARIOS.get(name, name.replace("_", " "))


def check_words(gate: str, name: str) -> str:
    """What a check is called; the generator's checks bear the names of scenarios."""
    return scenario_words(name) if gate == "load_generator" else _CHECKS.get(name, name.replace("_", " "))


def not_judged_name(item: Mapping[str, str]) -> str:
    """What an entry of `not_judged` is about: its title where it has one."""
    return item.get("title") or item["gate"]


def fault_words(kind: str, subject: str) -> str:
    """What was done to whom, short enough for a label."""
    return _FAULTS.get(kind, "{subject}: " + kind.replace("_", " ").replace("{", "").replace("}", "")).format(
        subject=subject
    )


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


def _accepted(waived: int) -> str:
    return f"{counted(waived, 'gate')} that did not {'is' if waived == 1 else 'are'} accepted by a named owner's waiver"


def _stopping(blocking: list[Result]) -> str:
    failed = sum(result.outcome is Outcome.FAIL for result in blocking)
    unknown = len(blocking) - failed
    parts = [f"{failed} failed"] if failed else []
    parts += [f"{unknown} could not be judged"] if unknown else []
    each = "which stops" if len(blocking) == 1 else "each of which stops"
    return f"{' and '.join(parts)}, {each} this stage" if parts else "yet the decision stands for the reason above"
