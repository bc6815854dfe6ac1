"""What a measurement found, beside the limit that it is held against: kept in the benchmark's JSON, printed at the end.

Rule: a claim that is not met is recorded as such and fails no test: speed is the machine's as much as ours. A claim is
`{"value", "limit", "met"}`, of a value that must be at most the limit unless `bound` says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from tests.benchmarks.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pytest_benchmark.fixture import BenchmarkFixture


@dataclass(frozen=True, slots=True)
class Claims:
    """Records the claims of one benchmark in its `extra_info`; `write` shows a line on the terminal at once."""

    benchmark: BenchmarkFixture
    write: Callable[[str], None]
    machine: Machine = field(default_factory=Machine)

    def at_most(self, name: str, value: float, limit: float) -> None:
        """The claim that `value` is `limit` or less."""
        self._record(name, value, limit, "at most", met=value <= limit)

    def at_least(self, name: str, value: float, limit: float) -> None:
        """The claim that `value` is `limit` or more."""
        self._record(name, value, limit, "at least", met=value >= limit)

    def note(self, line: str, **facts: Any) -> None:
        """What was measured, in one readable line, and the facts behind it; and who else used the machine meanwhile."""
        foreign = round(self.machine.foreign_cores(), 3)
        self.benchmark.extra_info |= facts | {"foreign_cores": foreign, "line": line}
        self.write(f"{line}; other work on the machine took {foreign:.2f} cores")

    def _record(self, name: str, value: float, limit: float, bound: str, *, met: bool) -> None:
        claim = {"value": round(value, 4), "limit": round(limit, 4), "bound": bound, "met": bool(met)}
        self.benchmark.extra_info[name] = claim


def spread(values: Sequence[float], digits: int = 0) -> str:
    """The median of `values` and the range that they span, for a reader."""
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f}, n={len(values)})"


def table(benchmarks: Iterable[tuple[str, dict[str, Any]]]) -> list[str]:
    """A table, line by line, of every claim in `benchmarks`, which are (name, extra_info); empty when there is none."""
    rows = [row for name, facts in benchmarks for row in _rows(name, facts)]
    if not rows:
        return []
    wide = max(len(row[0]) for row in rows)
    head = ("claim", "measured", "limit", "met")
    return [f"{name:{wide}}  {value:>12}  {limit:>18}  {met:>3}" for name, value, limit, met in (head, *rows)]


def _rows(name: str, facts: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    claims = {
        key: claim for key, claim in facts.items() if isinstance(claim, dict) and {"value", "limit", "met"} <= {*claim}
    }
    if claims:
        yield name, "", "", ""
    for key, claim in claims.items():
        bound = claim.get("bound", "at most")
        yield f"  {key}", f"{claim['value']:,g}", f"{bound} {claim['limit']:,g}", "yes" if claim["met"] else "NO"
