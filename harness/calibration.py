"""Says which rate this generator can send validly here, from short loads on a server that costs nothing.

Rule: pure. What one load showed once, the generator can do; nothing is concluded from one that failed but where to try
next. What is left of the machine when a real service shares it is less: hence the margin.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.model import Case, Check, Outcome
from harness.validity import BLAME, lag_limit_ms, promised_rps

if TYPE_CHECKING:
    from collections.abc import Sequence

MARGIN = 1.25
"""The generator must be able to send this many times the rate asked of it: a load generator's machine should not be
busier than 80 % (k6, "Running large tests")."""
RUNS_MAX = 6
"""One to show the rate asked, one more in case the machine hiccuped, four to find the highest within a tenth or so."""
WIDTH_MAX = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One short load: how late it was sent, what was not sent, what was not answered, what it cost of a core.

    `lag_ms_p99` and `cpu_share` are None where nothing was sent or the process left no word.
    """

    rate_rps: float
    lag_ms_p99: float | None
    unsent: int
    failed: int
    finished: bool
    drained: bool
    cpu_share: float | None = None

    def valid(self, limit_ms: float) -> bool:
        """Whether all was sent, no later than `limit_ms` at p99, and all answered."""
        whole = self.finished is True and self.drained is True and self.unsent == 0 and self.failed == 0
        return whole and self.lag_ms_p99 is not None and self.lag_ms_p99 <= limit_ms


def able_rps(trials: Sequence[Trial], limit_ms: float) -> float:
    """The rate that may be asked of the generator: the highest that was valid, less the margin; 0 when none was."""
    return max((trial.rate_rps for trial in trials if trial.valid(limit_ms)), default=0.0) / MARGIN


def next_trial_rps(trials: Sequence[Trial], asked_rps: float, limit_ms: float) -> float | None:
    """The rate to try next: first what will be asked and the margin, then down by halves; None at the end."""
    top = asked_rps * MARGIN
    if len(trials) < 2 and not any(trial.valid(limit_ms) for trial in trials):  # noqa: PLR2004 - a second chance
        return top
    low = able_rps(trials, limit_ms) * MARGIN
    high = min((trial.rate_rps for trial in trials if trial.rate_rps > low), default=math.inf)
    if len(trials) >= RUNS_MAX or high - low <= WIDTH_MAX * high or high == math.inf:
        return None
    return (low + high) / 2


def facts(trials: Sequence[Trial], asked_rps: float, limit_ms: float, workers: int) -> dict[str, Any]:
    """The calibration as evidence."""
    valid_rps = able_rps(trials, limit_ms)
    return {
        "asked_rps": asked_rps,
        "valid_rps": valid_rps,
        "is_lower_bound": covers(valid_rps, asked_rps),
        "limit_ms": limit_ms,
        "margin": MARGIN,
        "workers": workers,
        "steps": [{**asdict(trial), "valid": trial.valid(limit_ms)} for trial in trials],
    }


def ability(case: Case) -> Check:
    """Whether the generator was shown to do the rates promised, by the trials themselves and at the Plan's limit.

    Needs the evidence "calibration". Raises KeyError or TypeError when it is not what it says.
    """
    calibrated, promised = case.evidence["calibration"].facts, promised_rps(case.plan)
    names = Trial.__dataclass_fields__
    trials = [Trial(**{name: item[name] for name in names}) for item in calibrated["steps"]]
    able = able_rps(trials, lag_limit_ms(case.plan, "sustained"))
    asked = f"{promised:g} are promised, {calibrated['asked_rps']:g} may be asked"
    words = f"the generator was shown to do {able:.0f} req/s here; {asked}"
    return Check(
        name="calibration",
        outcome=Outcome.PASS if covers(able, promised) else Outcome.UNKNOWN,
        reason=words if covers(able, promised) else f"{BLAME}: {words}",
        observed=able,
        limit=promised,
        comparison="≥",
        unit="req/s",
    )


def covers(able: float, asked_rps: float) -> bool:
    """Whether a generator that can do `able` may be asked for `asked_rps`; the margin's rounding aside."""
    return able >= asked_rps or math.isclose(able, asked_rps)


def refusal(able: float, asked_rps: float) -> str:
    """Why a load of `asked_rps` is not driven by a generator that can do `able`; empty when it is."""
    if covers(able, asked_rps):
        return ""
    return f"refused: this generator can do {able:.0f} req/s here, {asked_rps:g} asked"
