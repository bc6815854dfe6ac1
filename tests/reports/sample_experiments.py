"""Draws what thirteen experiments measured, by formulas: most pass, one fails, one proves nothing, one was repeated.

Rule: deterministic: no chance, no clock; the shape is that of `verdict.series["experiments"]`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

ZONES = ("zone-a", "zone-b", "zone-c")
RATE_RPS, BEFORE_S, HOLD_S, AFTER_S = 100.0, 3.0, 5.0, 7.0
_RATES = ("ok_rps", "failed_rps")
_LABELS = {
    "zone_freeze": "SIGSTOP to every process of the zone: ports stay open, as when a machine hangs; its network stays.",
    "zone_black_hole": "The zone's packets are dropped in a network namespace; a switch may behave otherwise.",
    "disk_full": "The zone writes to a file system of 1 MB that is filled; only its logs and its journal live there.",
}


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One experiment as it is to come out; `None` where it was not measured."""

    name: str
    title: str
    subjects: tuple[str, ...] = ("zone-b",)
    repeat: int = 1
    outcome: str = "PASS"
    reason: str = "LOST, TTD and TTR within the Plan's limits"
    ttd_s: float | None = 0.42
    ttr_s: float | None = 0.9
    lost: tuple[int, int] = (0, 0)
    over_slo: int = 4
    first_attempt_errors: int | None = 11
    spike: float = 1.0
    slow: float = 6.0
    fault: bool = True

    @property
    def scenario(self) -> str:
        return self.name if self.repeat == 1 else f"{self.name}#{self.repeat}"


CRASH = Tried(name="zone_crash", title="A zone crashes and callers do not notice", ttd_s=0.31, ttr_s=0.6, over_slo=2)
FREEZE = Tried(name="zone_freeze", title="A zone freezes and callers do not notice", ttd_s=1.12, ttr_s=1.6, over_slo=9)
TRIED = (
    CRASH,
    Tried(
        name="rollback",
        title="All traffic moves to the candidate and back without a lost request",
        subjects=("candidate",),
        ttd_s=None,
        ttr_s=None,
        over_slo=0,
        first_attempt_errors=0,
        slow=1,
    ),
    FREEZE,
    Tried(**{**FREEZE.__dict__, "repeat": 2, "ttd_s": 1.34, "ttr_s": 2.1, "over_slo": 14}),
    Tried(**{**FREEZE.__dict__, "repeat": 3, "ttd_s": 1.08, "ttr_s": 1.4, "over_slo": 7}),
    Tried(name="zone_black_hole", title="A zone's network swallows everything", ttd_s=1.9, ttr_s=2.6, over_slo=31),
    Tried(name="zone_latency", title="A zone answers late and the edge leaves it", ttd_s=2.2, ttr_s=2.4, over_slo=61),
    Tried(name="zone_errors", title="A zone answers with errors and callers do not notice", ttd_s=0.2, ttr_s=0.3),
    Tried(
        name="two_zones_lost",
        title="Two of three zones are lost and the third carries all",
        subjects=("zone-b", "zone-c"),
        outcome="FAIL",
        reason="3 to 11 of 1,100 requests lost while the fault was in place; 0 allowed",
        lost=(3, 11),
        over_slo=96,
        ttr_s=4.4,
        first_attempt_errors=48,
        slow=30,
    ),
    Tried(
        name="spike_in_zone_loss",
        title="A zone crashes during a spike and the service recovers when the spike ends",
        spike=2.4,
        ttr_s=1.2,
        over_slo=18,
    ),
    Tried(
        name="graceful_drain",
        title="A zone is drained and nothing is lost",
        ttd_s=0.1,
        ttr_s=0.0,
        over_slo=0,
        first_attempt_errors=0,
        slow=1,
    ),
    Tried(
        name="unloadable_model",
        title="A model that can't be loaded is pushed and refused",
        subjects=("registry",),
        ttd_s=None,
        ttr_s=0.0,
        over_slo=0,
        first_attempt_errors=0,
        slow=1,
    ),
    Tried(
        name="disk_full",
        title="A zone's disk fills up and it serves on",
        outcome="UNKNOWN",
        reason="the fault was never proven in place: the probe disk-is-full failed",
        ttd_s=None,
        ttr_s=None,
        first_attempt_errors=None,
        over_slo=0,
        fault=False,
        slow=1,
    ),
    Tried(
        name="edge_restart",
        title="The edge is restarted and no call is lost",
        subjects=("edge",),
        ttd_s=None,
        ttr_s=0.4,
        slow=3,
    ),
    Tried(
        name="nothing",
        title="Nothing is broken and nothing is found broken",
        subjects=("nothing",),
        ttd_s=None,
        ttr_s=0.0,
        over_slo=0,
        first_attempt_errors=0,
        slow=1,
    ),
)


def with_experiments(run: dict[str, Any]) -> dict[str, Any]:
    """The series of a run that went on with all experiments, one after the other."""
    whole = run | {name: list(run[name]) for name in ("t_s", *_RATES, "p50_ms", "p99_ms", "max_ms", "phases", "faults")}
    whole["zones"] = {zone: list(values) for zone, values in run["zones"].items()}
    whole["slo_ms"] = run["slo_ms"] | {tried.scenario: 50.0 for tried in TRIED}
    whole["experiments"] = experiments()
    for item in whole["experiments"]:
        _go_on(whole, item)
    return whole


def _go_on(run: dict[str, Any], item: dict[str, Any]) -> None:
    """Appends an experiment's seconds, two bins each, after a pause of one second."""
    start_s = run["t_s"][-1] + 1.5
    end_s = start_s + len(item["seconds"]["t_s"])
    for name, values in {"p50_ms": "p50_ms", "p99_ms": "p99_ms", "max_ms": "p99_ms"}.items():
        run[name] += [None, None, *_twice(item["seconds"][values])]
    for zone, values in item["seconds"]["zones"].items():
        run["zones"][zone] += [0.0, 0.0, *_twice(values)]
    rates = [sum(second) for second in zip(*item["seconds"]["zones"].values(), strict=True)]
    run["ok_rps"] += [0.0, 0.0, *_twice(rates)]
    run["failed_rps"] += [0.0, 0.0, *_twice([RATE_RPS * (1 - good) for good in item["seconds"]["ok_ratio"]])]
    run["t_s"] += [run["t_s"][-1] + (place + 1) / 2 for place in range(2 + 2 * len(rates))]
    span = {"start_s": start_s, "end_s": end_s}
    run["phases"].append({"scenario": item["scenario"], "phase": "load", "rate_rps": RATE_RPS, **span})
    if item["fault"]["requested_s"] is not None:
        at = {"start_s": start_s + item["fault"]["requested_s"], "end_s": start_s + item["fault"]["removed_s"]}
        run["faults"] += [{"kind": item["name"], "subject": subject, **at} for subject in item["subjects"]]


def _twice(values: list[Any]) -> list[Any]:
    return [value for value in values for _ in range(2)]


def experiments() -> list[dict[str, Any]]:
    """The thirteen, one of them three times, as the verdict holds them."""
    return [measured(tried) for tried in TRIED]


def hostile_experiment(text: str) -> dict[str, Any]:
    """An experiment whose every text is the given one."""
    drawn = measured(CRASH)
    drawn["seconds"]["zones"] = {text: drawn["seconds"]["zones"]["zone-a"]}
    texts = dict.fromkeys(("name", "scenario", "title", "label", "reason", "load"), text)
    return drawn | texts | {"subjects": [text], "outcome": "FAIL"}


def measured(tried: Tried) -> dict[str, Any]:
    """What the verdict holds of one experiment."""
    span = {"requested_s": BEFORE_S, "in_place_s": BEFORE_S + 0.08, "removed_s": BEFORE_S + HOLD_S + 0.6}
    n = round(RATE_RPS * (BEFORE_S + HOLD_S + AFTER_S))
    bad = tried.over_slo + tried.lost[1]
    errors = tried.first_attempt_errors
    return {
        "name": tried.name,
        "scenario": tried.scenario,
        "title": tried.title,
        "label": _LABELS.get(tried.name, "Made on this machine; zones here are process groups."),
        "repeat": tried.repeat,
        "outcome": tried.outcome,
        "reason": tried.reason,
        "subjects": list(tried.subjects),
        "load": "spike" if tried.spike > 1 else "steady",
        "offered_rps": RATE_RPS,
        "n": n,
        "fault": span if tried.fault else dict.fromkeys(span),
        "ttd_s": tried.ttd_s,
        "ttr_s": tried.ttr_s,
        "lost": list(tried.lost),
        "over_slo": tried.over_slo,
        "budget_burnt": bad / (RATE_RPS * 86_400 * 30 * 0.001),
        "budget_window": bad / (n * 0.001),
        "first_attempt_errors": errors,
        "retry_amplification": None if errors is None else 1 + errors / n,
        "capacity_degraded_rps": 98.0 - tried.over_slo / 5 if tried.fault else None,
        "seconds": _seconds(tried),
    }


def _seconds(tried: Tried) -> dict[str, Any]:
    t_s = [float(second) for second in range(round(BEFORE_S + HOLD_S + AFTER_S))]
    broken = [tried.fault and BEFORE_S <= t < BEFORE_S + HOLD_S for t in t_s]
    slow_until = BEFORE_S + (tried.ttr_s or 0.0)
    rates = [RATE_RPS * (tried.spike if out else 1.0) for out in broken]
    p50 = [round(2.4 + 0.3 * math.sin(1.7 * t) + rate / 200, 3) for t, rate in zip(t_s, rates, strict=True)]
    p99 = [
        round(base * (3 + math.sin(2.3 * t)) * (tried.slow if BEFORE_S <= t < slow_until else 1), 3)
        for t, base in zip(t_s, p50, strict=True)
    ]
    lost_at = BEFORE_S + 1
    return {
        "t_s": t_s,
        "p50_ms": p50,
        "p99_ms": p99,
        "ok_ratio": [1 - tried.lost[1] / RATE_RPS if t == lost_at else 1.0 for t in t_s],
        "zones": _zones(tried, rates, broken),
    }


def _zones(tried: Tried, rates: list[float], broken: list[bool]) -> dict[str, list[float]]:
    left = [zone for zone in ZONES if zone not in tried.subjects]
    return {
        zone: [
            round(rate / (len(left) if out else len(ZONES)) if zone in left or not out else 0.0, 3)
            for rate, out in zip(rates, broken, strict=True)
        ]
        for zone in ZONES
    }
