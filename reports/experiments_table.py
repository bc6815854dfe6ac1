"""One table over all experiments: what was broken, how it ended, what it cost.

Rule: pure. An experiment that was repeated shows its worst value with the median beside it, and how often a number was
not measured; nothing unmeasured is shown as zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from reports.experiments import Experiment, read_experiments
from reports.numbers import NOT_MEASURED, number, quantity
from reports.wording import OUTCOMES, Mark, experiment_words, scenario_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from harness.model import Check, Result
    from reports.series import Value

_FAULTS_MIN = 2
_OWN_RECOVERY = {"zone_crash": ("zone_failure", "ttr")}
"""Gate and check of the experiments that have a gate of their own."""
COLUMNS = (
    "Requests lost",
    "TTD",
    "TTR",
    "Over the objective",
    "30-day budget spent",
    "First attempts failed",
    "Good answers while broken",
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One value as it is shown: the worst, the notes that stand small beneath it, and whether anything was measured."""

    column: str
    text: str
    notes: tuple[str, ...]
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
    """The known faults that were made, how many were survived as promised, and the slowest recovery with its cause."""

    survived: int
    made: int
    slowest_s: Value
    slowest: str
    mark: Mark

    @property
    def slowest_words(self) -> str:
        """What the fault of the slowest recovery is called inside a sentence."""
        return scenario_words(self.slowest)


def table(series: Mapping[str, Any]) -> tuple[Row, ...]:
    """A row for each experiment, in the order of the page."""
    return tuple(_row(experiment) for experiment in read_experiments(series))


def tally(series: Mapping[str, Any], results: Iterable[Result] = ()) -> Tally | None:
    """What page one says of all faults; None where fewer than two were made: one has numbers of its own there.

    The worst outcome stands for all. A recovery is the longer of what the series has, from the fault's request, and of
    what the check in `results` found, which looks at the fault's removal too.
    """
    faults = [experiment for experiment in read_experiments(series) if experiment.is_fault]
    if len(faults) < _FAULTS_MIN:
        return None
    results = tuple(results)
    recoveries = [(found, item.worst.name) for item in faults if (found := _recovery_s(item, results)) is not None]
    slowest_s, slowest = max(recoveries, key=lambda item: item[0], default=(None, ""))
    return Tally(
        survived=sum(experiment.worst.outcome == "PASS" for experiment in faults),
        made=len(faults),
        slowest_s=slowest_s,
        slowest=slowest,
        mark=OUTCOMES[faults[0].worst.outcome],
    )


def recovery_check(experiment: str, results: Iterable[Result]) -> Check | None:
    """The check on the recovery from the fault of that experiment; None where it was not judged."""
    gate, name = _OWN_RECOVERY.get(experiment, ("fault_tolerance", f"{experiment}_ttr"))
    checks = (check for result in results if result.gate == gate for check in result.checks)
    return next((check for check in checks if check.name == name), None)


def _recovery_s(experiment: Experiment, results: Iterable[Result]) -> Value:
    check, (worst, _, _) = recovery_check(experiment.worst.name, results), experiment.summed_up("ttr_s")
    found = [value for value in (worst, check.observed if check else None) if value is not None]
    return max(found, default=None)


def _row(experiment: Experiment) -> Row:
    worst, count = experiment.worst, len(experiment.tries)
    seconds = partial(quantity, unit="s")
    shown: tuple[tuple[str, Callable[[float], str], Callable[..., float]], ...] = (
        ("ttd_s", seconds, max),
        ("ttr_s", seconds, max),
        ("over_slo", number, max),
        ("budget_burnt", partial(quantity, unit="ratio", digits=2), max),
        ("first_attempt_errors", number, max),
        ("capacity_degraded_rps", partial(quantity, unit="/s"), min),
    )
    figures = [_figure(experiment, *of, column) for of, column in zip(shown, COLUMNS[1:], strict=True)]
    figures[-2] = _with(figures[-2], _amplified(experiment))
    figures[-1] = _with(figures[-1], "" if worst.offered_rps is None else f"of {number(worst.offered_rps)} offered")
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
        return Cell(column, NOT_MEASURED, (), measured=False)
    return Cell(column, text(value), _beneath(experiment, text(middle), missing), measured=True)


def _with(cell: Cell, note: str) -> Cell:
    """The cell with one more note beneath, if anything was measured."""
    return replace(cell, notes=(*((note,) if note else ()), *cell.notes)) if cell.measured else cell


def _amplified(experiment: Experiment) -> str:
    """Attempts a request: what the failed first attempts and their retries made of the load."""
    worst, _, _ = experiment.summed_up("retry_amplification")
    return "" if worst is None else f"attempts ×\N{NO-BREAK SPACE}{number(worst, 4)}"


def _lost(experiment: Experiment) -> Cell:
    """LOST of the try that may have lost most, as an interval, of how many requests."""
    column = COLUMNS[0]
    measured = [item for item in experiment.tries if item.lost is not None]
    if not measured:
        return Cell(column, NOT_MEASURED, (), measured=False)
    most = max(measured, key=lambda item: item.lost or (0, 0))
    low, high = most.lost or (0, 0)
    _, middle, missing = experiment.summed_up("lost_most")
    of = "" if most.n is None else f"of {number(most.n)} sent"
    text = number(high) if low == high else f"{number(low)} to {number(high)}"
    return _with(Cell(column, text, _beneath(experiment, number(middle or 0), missing), measured=True), of)


def _beneath(experiment: Experiment, middle: str, missing: int) -> tuple[str, ...]:
    """What stands small under a worst value: nothing for a single try."""
    if len(experiment.tries) == 1:
        return ()
    unmeasured = (f"{missing} of {len(experiment.tries)} not measured",) if missing else ()
    return (f"median {middle}", *unmeasured)
