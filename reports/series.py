"""The run over time as the charts read it: equal bins, phases, faults, distributions, limits.

Rule: pure; nothing is computed here that could change a judgement. `verdict.series` is the only source, and a
part of it that is absent is empty here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Value = float | None
Values = tuple[Value, ...]
_NAMED_MAX = 4


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of a scenario at one offered rate."""

    scenario: str
    name: str
    start_s: float
    end_s: float
    rate_rps: float


@dataclass(frozen=True, slots=True)
class Fault:
    """A stretch of time during which the run broke or switched something."""

    kind: str
    subject: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many answered requests of a scenario fell between two neighbouring edges of response time."""

    scenario: str
    edges_ms: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def n(self) -> int:
        """Requests counted."""
        return sum(self.counts)

    def bars(self) -> tuple[tuple[float, float, int], ...]:
        """Lower edge, upper edge and count where there are requests; from zero means from half the upper edge."""
        all_bars = zip(self.edges_ms[:-1], self.edges_ms[1:], self.counts, strict=True)
        return tuple((low or high / 2, high, count) for low, high, count in all_bars if count)

    def within_ms(self, share: float) -> float:
        """The smallest edge below which at least `share` of the requests lie."""
        total = 0
        for count, upper in zip(self.counts, self.edges_ms[1:], strict=True):
            total += count
            if total >= share * self.n:
                return upper
        return self.edges_ms[-1]


@dataclass(frozen=True, slots=True)
class Step:
    """One rate that was held for a while; times are None where they can't be told. `outcome` as a gate says it."""

    rate_rps: float
    p50_ms: Value
    p99_ms: Value
    outcome: str


@dataclass(frozen=True, slots=True)
class Capacity:
    """The steps in order of their rates; what they show, in `words`; None where nothing failed, or bent."""

    steps: tuple[Step, ...]
    held_rps: float
    failed_rps: Value
    knee_rps: Value
    words: str
    limit_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Values per bin of `bin_s`; `t_s` are the starts of the bins; None where a bin saw no request."""

    bin_s: float
    t_s: tuple[float, ...]
    ok_rps: Values
    failed_rps: Values
    p50_ms: Values
    p99_ms: Values
    max_ms: Values
    zones: Mapping[str, Values]
    phases: tuple[Phase, ...]
    faults: tuple[Fault, ...]
    distributions: tuple[Distribution, ...]
    slo_ms: Mapping[str, float]
    experiments: frozenset[str] = frozenset()

    @property
    def crowded(self) -> bool:
        """Whether experiments are too many to be named one by one on the axis of the whole run."""
        return len(self.experiments) > _NAMED_MAX

    @property
    def end_s(self) -> float:
        """Where the last bin ends."""
        return self.t_s[-1] + self.bin_s

    def middle_s(self, index: int) -> float:
        """The middle of a bin."""
        return self.t_s[index] + self.bin_s / 2

    def scenarios(self) -> dict[str, tuple[float, float]]:
        """Start and end of each scenario, in the order of the run."""
        found: dict[str, tuple[float, float]] = {}
        for phase in self.phases:
            start_s, end_s = found.get(phase.scenario, (phase.start_s, phase.end_s))
            found[phase.scenario] = min(start_s, phase.start_s), max(end_s, phase.end_s)
        return found

    def phase_at(self, t_s: float) -> Phase | None:
        """The last phase begun that `t_s` lies in; a phase ends with its last request, so up to one bin early."""
        found = (phase for phase in reversed(self.phases) if phase.start_s <= t_s < phase.end_s + self.bin_s)
        return next(found, None)

    def coarse(self, bins_max: int) -> Series:
        """The same run in at most `bins_max` bins: mean rates, and the worst latency and failures of what is joined."""
        size = -(-len(self.t_s) // bins_max)
        if size <= 1:
            return self
        return Series(
            bin_s=self.bin_s * size,
            t_s=self.t_s[::size],
            ok_rps=joined(self.ok_rps, size, mean),
            failed_rps=joined(self.failed_rps, size, max),
            p50_ms=joined(self.p50_ms, size, max),
            p99_ms=joined(self.p99_ms, size, max),
            max_ms=joined(self.max_ms, size, max),
            zones={zone: joined(values, size, mean) for zone, values in self.zones.items()},
            phases=self.phases,
            faults=self.faults,
            distributions=self.distributions,
            slo_ms=self.slo_ms,
            experiments=self.experiments,
        )


def read(series: Mapping[str, Any]) -> Series:
    """The typed form of `verdict.series`."""
    t_s = tuple(series.get("t_s", ()))
    absent = (None,) * len(t_s)
    bin_s = float(series.get("bin_s", 1.0))
    end_s = t_s[-1] + bin_s if t_s else 0.0
    phases = tuple(_phase(item) for item in series.get("phases", ()))
    experiments = frozenset(item["scenario"] for item in series.get("experiments", ()))
    return Series(
        bin_s=bin_s,
        t_s=t_s,
        **{name: tuple(series.get(name, absent)) for name in ("ok_rps", "failed_rps", "p50_ms", "p99_ms", "max_ms")},
        zones={zone: tuple(values) for zone, values in series.get("zones", {}).items()},
        phases=phases,
        faults=tuple(_fault(item, end_s) for item in series.get("faults", ())),
        distributions=_distributions(
            series.get("distribution", {}), phases, experiments if len(experiments) > _NAMED_MAX else frozenset()
        ),
        slo_ms=series.get("slo_ms", {}),
        experiments=experiments,
    )


def read_capacity(series: Mapping[str, Any]) -> Capacity | None:
    """The typed form of `verdict.series` where it holds a capacity."""
    found = series.get("capacity")
    if not found:
        return None
    return Capacity(tuple(Step(**item) for item in found["steps"]), **{k: v for k, v in found.items() if k != "steps"})


def _phase(item: Mapping[str, Any]) -> Phase:
    return Phase(item["scenario"], item["phase"], item["start_s"], item["end_s"], item["rate_rps"])


def _fault(item: Mapping[str, Any], end_s: float) -> Fault:
    """A fault that was never seen to end lasts to the end of the run."""
    return Fault(item["kind"], item["subject"], item["start_s"], end_s if item["end_s"] is None else item["end_s"])


def _distributions(
    items: Mapping[str, Mapping[str, Any]], phases: Sequence[Phase], apart: frozenset[str]
) -> tuple[Distribution, ...]:
    """Those that hold requests, in the order of the run; steps of a search, and what is `apart`, have other charts."""
    order = [phase.scenario for phase in phases]
    shown = [name for name in items if not name.startswith("search-") and name not in apart]
    names = sorted(shown, key=lambda name: order.index(name) if name in order else len(order))
    found = (Distribution(name, tuple(items[name]["edges_ms"]), tuple(items[name]["counts"])) for name in names)
    return tuple(distribution for distribution in found if distribution.n)


def joined(values: Values, size: int, how: Callable[[Sequence[float]], float]) -> Values:
    """`how` of every `size` neighbouring values, None where all of them are."""
    groups = ([value for value in values[at : at + size] if value is not None] for at in range(0, len(values), size))
    return tuple(how(group) if group else None for group in groups)


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean; there must be a value."""
    return sum(values) / len(values)
