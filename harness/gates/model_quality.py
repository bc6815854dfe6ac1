"""The model in service gives the answers it was accepted for, and it is better than the simple baseline."""

from __future__ import annotations

import numpy as np

from harness.checks import limited, unknown
from harness.model import Case, Check, Gate, Outcome

ROWS_MIN = 512
"""A golden set smaller than this is refused; the model registry promises at least as many rows."""


def judge(case: Case) -> tuple[Check, ...]:
    """Every golden answer within tolerance of the manifest's; the manifest's gain above zero; the version asked for."""
    facts, table = case.evidence["quality"].facts, case.evidence["quality"].tables["answers"]
    answered_by = {facts["version"], *table.loc[table["observed"].notna(), "version"]}
    if answered_by != {case.plan.target.version}:
        reason = f"{', '.join(sorted(answered_by))} answered; version {case.plan.target.version} is to launch"
        return (Check(name="answers", outcome=Outcome.FAIL, reason=reason),)
    if len(table) != facts["rows"] or len(table) < ROWS_MIN or table["row"].nunique() != len(table):
        return (unknown("answers", f"{len(table)} golden answers of {facts['rows']}; at least {ROWS_MIN} are needed"),)
    expected, observed = (table[name].to_numpy(np.float64, na_value=np.nan) for name in ("expected", "observed"))
    if not np.all(np.isfinite(expected)):
        raise ValueError("the golden set has a row without its expected answer")
    tolerance, missing = case.plan.quality.answer_tolerance, int(np.sum(~np.isfinite(observed)))
    off = float("nan") if missing else float(np.max(np.abs(observed - expected)))
    words = f"{missing} golden rows went unanswered" if missing else f"golden answers are off by at most {off:.2g}"
    answers = limited("answers", off, tolerance, "probability", reason=f"{words}; {tolerance:g} allowed", n=len(table))
    return (answers, _gain(*facts["manifest_metrics"]["auc_gain"]["interval"]))


def _gain(low: float, high: float) -> Check:
    words = f"AUC is {low:.4f} to {high:.4f} above the simple baseline's; it must be above 0"
    outcome = Outcome.PASS if 0 < low <= high else Outcome.FAIL
    return Check(
        name="gain",
        outcome=outcome,
        reason=words,
        observed=low,
        limit=0.0,
        comparison=">",
        unit="AUC",
        interval=(low, high),
    )


GATE = Gate(
    id="model_quality",
    area="Reality check",
    title="The model served is the model accepted",
    failure_title="The model served is not the model accepted",
    why="A fast service with the wrong model, or one no better than a simple rule, has nothing to launch.",
    advice="Check which version and digest is loaded, and whether preprocessing changed since the model was accepted.",
    requires=("quality",),
    judge=judge,
)
