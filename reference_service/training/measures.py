"""How good the probabilities are: ranking, squared error and calibration, with intervals that respect days.

Rule: flights of one day share weather and congestion, so what is resampled is days, never single flights; two models
are compared on the same resampled days (a paired bootstrap), so that a day hard for both decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 4000
BINS = 10
METHOD = "paired bootstrap over days"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Held-out flights: what happened (1 late), and on which day."""

    late: NDArray[np.uint8]
    day: NDArray[np.int64]


def compare(
    outcomes: Outcomes, model: NDArray[np.float64], baseline: NDArray[np.float64], *, seed: int
) -> dict[str, Any]:
    """The metrics of a model and of its baseline, as a manifest keeps them."""
    weights = _day_weights(outcomes, seed)
    ours, theirs = _ranking(outcomes, model), _ranking(outcomes, baseline)
    resampled, resampled_baseline = (_auc(counts, weights) for counts in (ours, theirs))
    once = np.ones((1, weights.shape[1]))
    auc, baseline_auc = float(_auc(ours, once)[0]), float(_auc(theirs, once)[0])
    n = len(outcomes.late)
    return {
        "auc": _measure(auc, resampled, n),
        "baseline_auc": _measure(baseline_auc, resampled_baseline, n),
        "auc_gain": _measure(auc - baseline_auc, resampled - resampled_baseline, n) | {"method": METHOD},
        **_squared_errors(outcomes, model, baseline, weights),
        "calibration": {"model": calibration(outcomes.late, model), "baseline": calibration(outcomes.late, baseline)},
        "confidence": CONFIDENCE,
        "days": weights.shape[1],
        "resamples": RESAMPLES,
        "late_share": _rounded(outcomes.late.mean()),
    }


def calibration(late: NDArray[np.uint8], probability: NDArray[np.float64]) -> dict[str, Any]:
    """Reliability in ten bins of equally many flights, and their mean absolute error weighted by flights (ECE)."""
    bins = np.array_split(np.argsort(probability, kind="stable"), BINS)
    table = [
        {
            "flights": len(rows),
            "predicted": _rounded(probability[rows].mean()),
            "observed": _rounded(late[rows].mean()),
        }
        for rows in bins
        if len(rows)
    ]
    error = sum(row["flights"] * abs(row["predicted"] - row["observed"]) for row in table) / len(late)
    return {"expected_calibration_error": _rounded(error), "table": table}


def _squared_errors(
    outcomes: Outcomes, model: NDArray[np.float64], baseline: NDArray[np.float64], weights: NDArray[np.float64]
) -> dict[str, Any]:
    """Brier scores; `brier_gain` is how much smaller the model's is."""
    n = len(outcomes.late)
    sums = [_per_day(outcomes, (probability - outcomes.late) ** 2) for probability in (model, baseline)]
    flights = weights @ _per_day(outcomes, np.ones(n))
    ours, theirs = (weights @ total / flights for total in sums)
    brier, baseline_brier = (float(total.sum()) / n for total in sums)
    return {
        "brier": _measure(brier, ours, n),
        "baseline_brier": _measure(baseline_brier, theirs, n),
        "brier_gain": _measure(baseline_brier - brier, theirs - ours, n) | {"method": METHOD},
    }


def _day_weights(outcomes: Outcomes, seed: int) -> NDArray[np.float64]:
    """How often each day is drawn in each resample: [resamples, days]."""
    days = len(np.unique(outcomes.day))
    drawn = np.random.default_rng(seed).multinomial(days, np.full(days, 1 / days), size=RESAMPLES)
    return drawn.astype(np.float64)


def _ranking(outcomes: Outcomes, score: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Won pairs by (day of the late flight, day of the other), a tie being half; late flights, others, by day.

    The AUC of any resample of days is a ratio of sums over these (Mann and Whitney, 1947), so each flight is
    ranked once and not once per resample.
    """
    days = np.unique(outcomes.day)
    others = [np.sort(score[(outcomes.day == day) & (outcomes.late == 0)]) for day in days]
    late = outcomes.late == 1
    day_of_late = np.searchsorted(days, outcomes.day[late])
    won = np.empty((len(days), len(days)))
    for column, ranked in enumerate(others):
        halves = np.searchsorted(ranked, score[late], "left") + np.searchsorted(ranked, score[late], "right")
        won[:, column] = np.bincount(day_of_late, weights=halves / 2, minlength=len(days))
    lates = np.bincount(day_of_late, minlength=len(days)).astype(np.float64)
    return won, lates, np.array([len(ranked) for ranked in others], dtype=np.float64)


def _auc(counts: tuple[NDArray[np.float64], ...], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """One AUC per row of day weights."""
    won, lates, others = counts
    pairs = (weights @ lates) * (weights @ others)
    return np.asarray(((weights @ won) * weights).sum(axis=1) / pairs, dtype=np.float64)


def _per_day(outcomes: Outcomes, values: NDArray[np.float64]) -> NDArray[np.float64]:
    codes = np.unique(outcomes.day, return_inverse=True)[1]
    return np.asarray(np.bincount(codes, weights=values), dtype=np.float64)


def _measure(value: float, resampled: NDArray[np.float64], n: int) -> dict[str, Any]:
    tail = (1 - CONFIDENCE) / 2
    interval = [_rounded(bound) for bound in np.quantile(resampled, [tail, 1 - tail])]
    return {"value": _rounded(value), "interval": interval, "n": n}


def _rounded(value: float | np.floating[Any]) -> float:
    """Six digits: more than any interval here supports, fewer than the order of summation touches."""
    return round(float(value), 6)
