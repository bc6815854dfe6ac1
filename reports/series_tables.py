"""The numbers behind each chart as a table, for those who can't see the drawing or want the figures.

Rule: pure. A table over the run has at most 36 rows: of its stretch, each has the worst latency and failures, and the
mean of other rates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.numbers import number

if TYPE_CHECKING:
    from reports.experiments import Try
    from reports.series import Series, Value

_ROWS_MAX = 36
_ABSENT = "–"


@dataclass(frozen=True, slots=True)
class Table:
    """Column headings with units, and rows of texts; the first column names the row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def response_time(run: Series) -> Table:
    """Response times by stretch of the run."""
    coarse = run.coarse(_ROWS_MAX)
    return _over_time(coarse, {"p50, ms": coarse.p50_ms, "p99, ms": coarse.p99_ms, "slowest, ms": coarse.max_ms})


def throughput(run: Series) -> Table:
    """Rates by stretch of the run."""
    coarse = run.coarse(_ROWS_MAX)
    return _over_time(coarse, {"answered, req/s": coarse.ok_rps, "failed, req/s": coarse.failed_rps})


def zones(run: Series) -> Table:
    """Rates of each zone by stretch of the run."""
    coarse = run.coarse(_ROWS_MAX)
    return _over_time(coarse, {f"{zone}, req/s": values for zone, values in coarse.zones.items()})


def distribution(run: Series) -> Table:
    """Upper bounds of the usual shares, by scenario."""
    shares = {"half": 0.5, "90 %": 0.9, "99 %": 0.99, "99.9 %": 0.999}
    rows = tuple(
        (item.scenario, f"{item.n:,}", *(number(item.within_ms(share)) for share in shares.values()))
        for item in run.distributions
    )
    return Table(("scenario", "answered", *(f"{name} within, ms" for name in shares)), rows)


def experiment_seconds(item: Try) -> Table:
    """An experiment's values by seconds from the fault."""
    seconds = item.seconds.coarse(_ROWS_MAX)
    good = tuple(None if value is None else 100 * value for value in seconds.ok_ratio)
    columns = {"p50, ms": seconds.p50_ms, "p99, ms": seconds.p99_ms, "answered, %": good}
    columns |= {f"{zone}, req/s": values for zone, values in seconds.zones.items()}
    rows = tuple(
        (number(round(start_s - item.origin_s, 2)), *(_text(values[index]) for values in columns.values()))
        for index, start_s in enumerate(seconds.t_s)
    )
    return Table(("seconds from the fault", *columns), rows)


def _over_time(coarse: Series, columns: dict[str, tuple[Value, ...]]) -> Table:
    rows = tuple(
        (_stretch(coarse, index), _phase(coarse, index), *(_text(values[index]) for values in columns.values()))
        for index in range(len(coarse.t_s))
    )
    return Table(("seconds", "phase", *columns), rows)


def _stretch(coarse: Series, index: int) -> str:
    start_s = coarse.t_s[index]
    return f"{number(round(start_s, 2))} to {number(round(start_s + coarse.bin_s, 2))}"


def _phase(coarse: Series, index: int) -> str:
    phase = coarse.phase_at(coarse.middle_s(index))
    return f"{phase.scenario}/{phase.name}" if phase else _ABSENT


def _text(value: Value) -> str:
    return _ABSENT if value is None else number(round(value, 2))
