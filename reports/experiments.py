"""What each experiment measured, as the report reads it: one try each, and the tries of one experiment together.

Rule: pure; nothing is judged here. `verdict.series["experiments"]` is the only source; what was not measured is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from harness.model import Outcome
from reports.series import Value, Values, joined, mean
from reports.wording import WORST_FIRST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NO_FAULT = frozenset({"nothing", "rollback"})
"""Experiments that break nothing: the control without a fault, and the switch of versions and back."""


@dataclass(frozen=True, slots=True)
class Seconds:
    """Values per second of an experiment's load, or per `step_s` of a long one; None where it saw no request."""

    t_s: tuple[float, ...]
    p50_ms: Values
    p99_ms: Values
    ok_ratio: Values
    zones: Mapping[str, Values]
    step_s: float = 1.0

    @property
    def end_s(self) -> float:
        """Where the last second ends; there must be one."""
        return self.t_s[-1] + self.step_s

    def coarse(self, points_max: int) -> Seconds:
        """The same in at most so many equal stretches, each with its worst times and share, and its mean rates."""
        size = -(-len(self.t_s) // points_max)
        if size <= 1:
            return self
        return Seconds(
            self.t_s[::size],
            joined(self.p50_ms, size, max),
            joined(self.p99_ms, size, max),
            joined(self.ok_ratio, size, min),
            {zone: joined(values, size, mean) for zone, values in self.zones.items()},
            self.step_s * size,
        )

    def answered_rps(self) -> tuple[float, ...]:
        """All zones' answers in each second."""
        return tuple(sum(value or 0.0 for value in second) for second in zip(*self.zones.values(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One execution of an experiment. Times of the fault in seconds since its load began; None when not known.

    `budget_burnt` is the share of 30 days' error budget that one such fault costs; `other_answers` are those of other
    versions than the one to launch.
    """

    name: str
    scenario: str
    title: str
    label: str
    repeat: int
    outcome: Outcome
    reason: str
    subjects: tuple[str, ...]
    offered_rps: Value
    n: int | None
    requested_s: Value
    in_place_s: Value
    removed_s: Value
    ttd_s: Value
    ttr_s: Value
    lost: tuple[int, int] | None
    other_answers: int | None
    over_slo: Value
    budget_burnt: Value
    first_attempt_errors: Value
    retry_amplification: Value
    capacity_degraded_rps: Value
    seconds: Seconds
    slo_ms: Value

    @property
    def origin_s(self) -> float:
        """The instant that is zero in its chart: the fault's request, or the load's start where there was none."""
        return self.requested_s or 0.0

    @property
    def drawn(self) -> bool:
        """Whether any second of it can be drawn."""
        return bool(self.seconds.t_s)

    def spans_s(self) -> tuple[tuple[float, float], ...]:
        """Start and end of each second, in seconds from the fault."""
        starts = (at_s - self.origin_s for at_s in self.seconds.t_s)
        return tuple((start_s, start_s + self.seconds.step_s) for start_s in starts)

    @property
    def lost_most(self) -> Value:
        """The upper end of LOST."""
        return self.lost[1] if self.lost else None

    @property
    def badness(self) -> tuple[float, ...]:
        """Greater is worse: by outcome, then requests lost, then recovery, then requests over the objective."""
        return -WORST_FIRST[self.outcome], self.lost_most or 0, self.ttr_s or 0.0, self.over_slo or 0.0


@dataclass(frozen=True, slots=True)
class Experiment:
    """All tries of one experiment, in order; `worst` stands for it."""

    tries: tuple[Try, ...]

    @property
    def worst(self) -> Try:
        """The worst try; of equals the first."""
        return max(self.tries, key=lambda item: item.badness)

    @property
    def is_fault(self) -> bool:
        """Whether something is broken by it."""
        return self.worst.name not in _NO_FAULT

    def summed_up(self, name: str, worst: Callable[..., float] = max) -> tuple[Value, Value, int]:
        """The worst and the median of one number, and how many tries did not measure it."""
        found = [value for value in (getattr(item, name) for item in self.tries) if value is not None]
        missing = len(self.tries) - len(found)
        return (worst(found), median(found), missing) if found else (None, None, missing)


def read_experiments(series: Mapping[str, Any]) -> tuple[Experiment, ...]:
    """The typed form of `verdict.series["experiments"]`, worst first, otherwise in the order of the run."""
    limits = series.get("slo_ms", {})
    grouped: dict[str, list[Try]] = {}
    for item in series.get("experiments", ()):
        grouped.setdefault(item["name"], []).append(_try(item, limits))
    found = (Experiment(tuple(tries)) for tries in grouped.values())
    return tuple(sorted(found, key=lambda experiment: WORST_FIRST[experiment.worst.outcome]))


def _try(item: Mapping[str, Any], limits: Mapping[str, float]) -> Try:
    fault, lost = item.get("fault") or {}, item.get("lost")
    return Try(
        name=item["name"],
        scenario=item["scenario"],
        title=item.get("title") or "",
        label=item.get("label") or "",
        repeat=item.get("repeat") or 1,
        outcome=Outcome(item["outcome"]),
        reason=item.get("reason") or "",
        subjects=tuple(item.get("subjects") or ()),
        offered_rps=item.get("offered_rps"),
        n=item.get("n"),
        requested_s=fault.get("requested_s"),
        in_place_s=fault.get("in_place_s"),
        removed_s=fault.get("removed_s"),
        ttd_s=item.get("ttd_s"),
        ttr_s=item.get("ttr_s"),
        lost=None if lost is None or None in lost else (lost[0], lost[1]),
        other_answers=item.get("other_answers"),
        over_slo=item.get("over_slo"),
        budget_burnt=item.get("budget_burnt"),
        first_attempt_errors=item.get("first_attempt_errors"),
        retry_amplification=item.get("retry_amplification"),
        capacity_degraded_rps=item.get("capacity_degraded_rps"),
        seconds=_seconds(item.get("seconds") or {}),
        slo_ms=limits.get(item["scenario"]),
    )


def _seconds(values: Mapping[str, Any]) -> Seconds:
    t_s = tuple(values.get("t_s", ()))
    absent = (None,) * len(t_s)
    return Seconds(
        t_s=t_s,
        p50_ms=tuple(values.get("p50_ms", absent)),
        p99_ms=tuple(values.get("p99_ms", absent)),
        ok_ratio=tuple(values.get("ok_ratio", absent)),
        zones={zone: tuple(of_zone) for zone, of_zone in (values.get("zones") or {}).items()},
    )
