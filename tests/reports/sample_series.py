"""Draws the series of a whole quick run by formulas, for the tests of the report.

Rule: deterministic: no chance, no clock.
"""

from __future__ import annotations

import math
from typing import Any

BIN_S = 0.5
_PHASES = (
    ("sustained", "warmup", 2.0, 5.0, 200.0),
    ("sustained", "hold", 5.0, 41.0, 200.0),
    ("shadow", "hold", 46.0, 54.0, 200.0),
    ("spike", "before", 59.0, 62.0, 200.0),
    ("spike", "peak", 62.0, 72.0, 600.0),
    ("spike", "after", 72.0, 77.0, 200.0),
    *(
        ("staircase", f"step-{rate:04d}", 80.0 + 4 * step, 84.0 + 4 * step, float(rate))
        for step, rate in enumerate(range(200, 1001, 200))
    ),
    ("zone_crash", "load", 105.0, 119.0, 200.0),
    ("rollback", "load", 123.0, 131.0, 200.0),
)
_CRASH = (107.0, 112.4)


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
                ("staircase", 6.0),
                ("zone_crash", 3.6),
                ("rollback", 3.2),
            )
        },
        "capacity": capacity(),
        "slo_ms": {"sustained": 50.0, "spike": 200.0},
    }


def capacity() -> dict[str, Any]:
    """A service that carries 750 requests a second, not 775; the knee lies at 600."""
    held = [(200.0, 2.1, 6.2), (400.0, 2.2, 7.5), (600.0, 2.5, 9.9), (750.0, 4.1, 33.0)]
    failed = [(775.0, 5.5, 62.0), (800.0, 9.0, 110.0), (1000.0, 400.0, None)]
    steps = [(*step, outcome) for part, outcome in ((held, "PASS"), (failed, "FAIL")) for step in part]
    return {
        "steps": [dict(zip(("rate_rps", "p50_ms", "p99_ms", "outcome"), step, strict=True)) for step in steps],
        "held_rps": 750.0,
        "failed_rps": 775.0,
        "knee_rps": 600.0,
        "words": "carries 750 req/s, not 775",
        "limit_ms": 50.0,
    }


def _rate(t_s: float) -> float:
    return next((rate for _, _, start, end, rate in _PHASES if start <= t_s < end), 0.0)


def _distribution(middle_ms: float) -> dict[str, Any]:
    edges = [round(0.5 * 1.2**step, 4) for step in range(34)]
    counts = [round(1800 * math.exp(-((math.log(edge * 1.095 / middle_ms)) ** 2) / 0.35)) for edge in edges[:-1]]
    return {"edges_ms": edges, "counts": counts}
