"""The eleven gates of stage internal as a healthy service passes them, for the tests of the report.

Rule: literal; every text and number is written here, so that a test can name it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.model import Check, Outcome, Result, worst

RUN_ID = "20250311-091502-flight-delay"
_RATIO: dict[str, Any] = {"unit": "ratio"}
_CAPACITY = "carries at least 800 req/s; 1000 req/s in a year is not shown"


def check(name: str, reason: str, outcome: Outcome = Outcome.PASS, **numbers: Any) -> Check:
    return Check(name=name, outcome=outcome, reason=reason, **numbers)


def result(gate: str, area: str, title: str, *checks: Check, **changes: Any) -> Result:
    """A required gate's result, judged as the judge does: the worst check decides and gives the reason."""
    outcome = worst(tuple(item.outcome for item in checks))
    base = Result(
        gate=gate,
        area=area,
        title=title,
        why="Each failed request is a user turned away; below this rate the promise is broken on the first day.",
        outcome=outcome,
        reason=next(item.reason for item in checks if item.outcome is outcome),
        checks=checks,
        evidence=("ledger", "timeline"),
        advice="Look at the ledger's failed rows by status, zone and second and fix the cause.",
        reproduce=f"gonogo judge runs/{RUN_ID} --gate {gate}",
        required=True,
    )
    return replace(base, **changes)


def p99(name: str, observed: float, limit: float, n: int) -> Check:
    words = f"99 % of {n:,} were answered within {observed:.1f} ms; {limit:g} ms allowed"
    interval = (observed * 0.94, observed * 1.09)
    return check(name, words, observed=observed, limit=limit, unit="ms", interval=interval, n=n)


def share(name: str, reason: str, observed: float, limit: float, interval: tuple[float, float], *, n: int) -> Check:
    return check(name, reason, observed=observed, limit=limit, unit="ratio", interval=interval, n=n)


def lost(lower: int, upper: int, n: int, when: str, outcome: Outcome = Outcome.PASS) -> Check:
    words = f"{lower} to {upper} of {n:,} requests lost {when}; 0 allowed"
    interval = (float(lower), float(upper))
    return check("lost", words, outcome, observed=float(upper), limit=0.0, unit="requests", interval=interval, n=n)


def seconds(name: str, observed: float, limit: float, reason: str) -> Check:
    return check(name, f"{reason} {observed:.2f} s; {limit:g} s allowed", observed=observed, limit=limit, unit="s")


def lag(name: str, observed: float, limit: float, n: int) -> Check:
    words = f"{name}: sent at most {observed:.2f} ms late at p99 in every phase; {limit:g} ms allowed"
    return check(name, words, observed=observed, limit=limit, unit="ms", n=n)


def capacity(name: str, need: float) -> Check:
    return check(name, _CAPACITY, observed=800.0, limit=need, comparison="≥", unit="req/s")


def results() -> tuple[Result, ...]:
    return (*_load(), *_reality(), *_release(), *_faults())


def _load() -> tuple[Result, ...]:
    failed = share("failed", "0 of 17,012 requests failed; 0.05 % allowed", 0.0, 0.0005, (0.0, 0.000176), n=17_012)
    lags = lag("staircase", 1.21, 2.5, 12_004), lag("sustained", 0.42, 2.5, 7_802), lag("spike", 0.77, 10.0, 7_604)
    capacities = capacity("at_launch", 200.0), capacity("in_six_months", 400.0)
    return (
        result("load_generator", "Testing", "The load was what it claims to be", *lags),
        result("sustained_latency", "Testing", "Fast enough under launch load", p99("response_p99", 11.8, 50.0, 7_204)),
        result("availability", "Operations", "Requests are answered", failed),
        result(
            "spike_latency", "Testing", "A launch-day spike is served in time", p99("response_p99", 31.2, 200.0, 6_012)
        ),
        result("capacity", "Testing", "Capacity for the next six months is there", *capacities),
    )


def _reality() -> tuple[Result, ...]:
    words = "golden answers are off by at most 1.2e-07; 0.0001 allowed"
    answers = check("answers", words, observed=1.19e-7, limit=1e-4, unit="probability", n=512)
    words = "AUC is 0.0121 to 0.0173 above the simple baseline's; it must be above 0"
    numbers: dict[str, Any] = {
        "observed": 0.0121,
        "limit": 0.0,
        "comparison": ">",
        "unit": "AUC",
        "interval": (0.0121, 0.0173),
    }
    gain = check("gain", words, **numbers)
    engine = p99("engine_p99", 0.164, 200.0, 41_206)
    return (
        result("baseline_latency", "Reality check", "The model alone is fast enough", engine),
        result("model_quality", "Reality check", "The model served is the model accepted", answers, gain),
    )


def _release() -> tuple[Result, ...]:
    words = "3 requests were logged by one version only; 1 % allowed"
    unjoined = check("unjoined", words, observed=0.00188, limit=0.01, n=1_598, **_RATIO)
    words = "61 of 1,595 requests were decided otherwise, or by one version only; 10 % allowed"
    other = share("disagreement", words, 0.0382, 0.1, (0.031, 0.0472), n=1_595)
    there = seconds("promotion", 0.141, 1.0, "promotion: version 2 alone answered after")
    back = seconds("rollback", 0.183, 1.0, "rollback: version 1 alone answered after")
    kept = lost(0, 0, 1_604, "during promotion and rollback")
    return (
        result("shadow_agreement", "Release", "The next version decides alike", unjoined, other),
        result("rollback", "Release", "A bad version can be taken back at once", there, back, kept),
    )


def _faults() -> tuple[Result, ...]:
    words = "0 of 17,012 first attempts at primary failed; 0.1 % allowed"
    retries = share("primary_retries", words, 0.0, 0.001, (0.0, 0.000176), n=17_012)
    words = "0 retries at primary refused because the retry budget was spent; none may be"
    refused = check("primary_refused", words, observed=0.0, limit=0.0, unit="retries")
    words = "zone-b answered 31% of requests once it was back; its fair share is 33%"
    back = check("return", words, observed=0.312, limit=1 / 6, comparison="≥", n=1_104, **_RATIO)
    checks = (
        lost(0, 0, 2_080, "while the zone was down"),
        seconds("ttd", 0.31, 2.0, "the edge stopped sending to zone-b after"),
        seconds("ttr", 0.6, 2.0, "the SLO was met again and kept for 5 s after"),
        back,
    )
    return (
        result("first_attempts", "Operations", "Requests succeed at the first attempt", retries, refused),
        result("zone_failure", "Testing", "Losing a zone goes unnoticed", *checks),
    )


def faults_gate() -> Result:
    """The gate over the catalogue of experiments: one fault cost too much, one experiment proves nothing."""
    words = "3 to 11 of 1,100 requests lost while the fault lasted and 5 s after; 0 allowed"
    numbers: dict[str, Any] = {"observed": 11.0, "limit": 0.0, "unit": "requests", "interval": (3.0, 11.0), "n": 1_100}
    checks = (
        check("zone_freeze_experiment", "zone_freeze: baseline met, fault in place and gone, every step done"),
        seconds("zone_freeze_ttr", 2.1, 3.0, "the SLO was met again and kept for 5 s after"),
        check("two_zones_lost_lost", words, Outcome.FAIL, **numbers),
        seconds("two_zones_lost_ttr", 4.4, 6.0, "the SLO was met again and kept for 5 s after"),
        check("tampered_model_answers_stay_right", "tampered_model: answers-stay-right read as expected"),
        check("disk_full_experiment", "disk_full: the fault was never proven in place", Outcome.UNKNOWN),
    )
    return result("fault_tolerance", "Testing", "Some faults cost more than promised", *checks)
