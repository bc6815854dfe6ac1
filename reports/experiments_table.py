"""One table over all experiments: what was broken, how it ended, what it cost.

Rule: pure. An experiment that was repeated shows its worst value with the median beside it, and how often a number was
not measured; nothing unmeasured is shown as zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from reports.experiments import Experiment, read_experiments
from reports.numbers import NOT_MEASURED, number, quantity
from reports.wording import OUTCOMES, Mark, experiment_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from reports.series import Value

COLUMNS = (
    "Requests lost",
    "TTD",
    "TTR",
    "Over the objective",
    "30-day budget spent",
    "First attempts failed",
    "Attempts per request",
    "Good answers while broken",
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One value as it is shown: the worst, what stands small beneath it, and whether anything was measured."""

    column: str
    text: str
    note: str
    measured: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One experiment: what it is called, what it promises, what came of it; `reason` only where it did not pass."""

    name: str
    title: str
    tries: str
    reason: str
    mark: Mark
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """The known faults that were made: of how many, how many were survived as promised, and the slowest recovery."""

    survived: int
    made: int
    slowest_s: Value
    slowest: str
    mark: Mark


def table(series: Mapping[str, Any]) -> tuple[Row, ...]:
    """A row for each experiment, in the order of the page."""
    return tuple(_row(experiment) for experiment in read_experiments(series))


def tally(series: Mapping[str, Any]) -> Tally | None:
    """What page one says of all faults; None where none was made. The worst outcome stands for all."""
    faults = [experiment for experiment in read_experiments(series) if experiment.is_fault]
    if not faults:
        return None
    tries = [item for experiment in faults for item in experiment.tries if item.ttr_s is not None]
    slowest = max(tries, key=lambda item: item.ttr_s or 0.0, default=None)
    return Tally(
        survived=sum(experiment.worst.outcome == "PASS" for experiment in faults),
        made=len(faults),
        slowest_s=slowest.ttr_s if slowest else None,
        slowest=experiment_words(slowest.name) if slowest else "",
        mark=OUTCOMES[faults[0].worst.outcome],
    )


def _row(experiment: Experiment) -> Row:
    worst, count = experiment.worst, len(experiment.tries)
    seconds = partial(quantity, unit="s")
    shown: tuple[tuple[str, Callable[[float], str], Callable[..., float]], ...] = (
        ("ttd_s", seconds, max),
        ("ttr_s", seconds, max),
        ("over_slo", number, max),
        ("budget_burnt", partial(quantity, unit="ratio"), max),
        ("first_attempt_errors", number, max),
        ("retry_amplification", partial(number, digits=4), max),
        ("capacity_degraded_rps", partial(quantity, unit="/s"), min),
    )
    figures = [_figure(experiment, *of, column) for of, column in zip(shown, COLUMNS[1:], strict=True)]
    return Row(
        name=experiment_words(worst.name),
        title=worst.title,
        tries=f"{count} times: worst, and median" if count > 1 else "",
        reason="" if worst.outcome == "PASS" else worst.reason,
        mark=OUTCOMES[worst.outcome],
        cells=(_lost(experiment), *figures),
    )


def _figure(
    experiment: Experiment, name: str, text: Callable[[float], str], worst: Callable[..., float], column: str
) -> Cell:
    value, middle, missing = experiment.summed_up(name, worst)
    if value is None or middle is None:
        return Cell(column, NOT_MEASURED, "", measured=False)
    return Cell(column, text(value), _beneath(experiment, text(middle), missing), measured=True)


def _lost(experiment: Experiment) -> Cell:
    """LOST of the try that may have lost most, as an interval, of how many requests."""
    column = COLUMNS[0]
    measured = [item for item in experiment.tries if item.lost is not None]
    if not measured:
        return Cell(column, NOT_MEASURED, "", measured=False)
    most = max(measured, key=lambda item: item.lost or (0, 0))
    low, high = most.lost or (0, 0)
    _, middle, missing = experiment.summed_up("lost_most")
    of = "" if most.n is None else f"of {number(most.n)}"
    beneath = _beneath(experiment, number(middle or 0), missing)
    text = number(high) if low == high else f"{number(low)} to {number(high)}"
    return Cell(column, text, "; ".join(part for part in (of, beneath) if part), measured=True)


def _beneath(experiment: Experiment, middle: str, missing: int) -> str:
    """What stands small under a worst value: nothing for a single try."""
    if len(experiment.tries) == 1:
        return ""
    unmeasured = f"; {missing} of {len(experiment.tries)} not measured" if missing else ""
    return f"median {middle}{unmeasured}"
