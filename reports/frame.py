"""What the charts over the run share: the axis of time, the named scenarios and phases, the shaded faults.

Rule: pure; places only, in units of the drawing. Colours and strokes are the style's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.numbers import number
from reports.scales import Scale
from reports.wording import BROKEN, fault_words, scenario_label, scenario_words

if TYPE_CHECKING:
    from reports.series import Series

WIDTH = 960
LEFT, RIGHT = 62, 950
_LETTER_WIDTH = 6.8
_LABEL_GAP = 8


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of the axis of time: where it lies, its label and the label's place and row, and the full story."""

    left: float
    width: float
    label: str
    middle: float
    row: int
    story: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A short horizontal line: a limit or an offered rate during one stretch."""

    left: float
    right: float
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The axis of time with all that happened on it."""

    x: Scale
    scenarios: tuple[Stretch, ...]
    phases: tuple[Stretch, ...]
    faults: tuple[Stretch, ...]


def time_axis(series: Series) -> Scale:
    """From the run's start to the end of its last bin; there must be one."""
    return Scale(low=min(0.0, series.t_s[0]), high=series.end_s, start=LEFT, end=RIGHT)


def frame(series: Series) -> Frame:
    """The axis of time and all that is marked on it."""
    x = time_axis(series)
    return Frame(x=x, scenarios=_scenarios(series, x), phases=_phases(series, x), faults=_faults(series, x))


def _scenarios(series: Series, x: Scale) -> tuple[Stretch, ...]:
    parts = [
        (start_s, end_s, scenario_label(name), f"{scenario_words(name)}, {_from_to(start_s, end_s)}")
        for name, (start_s, end_s) in series.scenarios().items()
        if not (series.crowded and name in series.experiments)
    ]
    return _staggered([*parts, *_together(series)], x)


def _together(series: Series) -> list[tuple[float, float, str, str]]:
    """All experiments under one label, where they are too many for one each."""
    spans = [span for name, span in series.scenarios().items() if name in series.experiments]
    if not series.crowded or not spans:
        return []
    start_s, end_s = min(start for start, _ in spans), max(end for _, end in spans)
    return [(start_s, end_s, BROKEN, f"{len(spans)} experiments, {_from_to(start_s, end_s)}")]


def _phases(series: Series, x: Scale) -> tuple[Stretch, ...]:
    parts = [
        (phase.start_s, phase.end_s, "", f"{phase.scenario}/{phase.name}: {_offer(phase.rate_rps)}")
        for phase in series.phases
    ]
    return _staggered(parts, x)


def _faults(series: Series, x: Scale) -> tuple[Stretch, ...]:
    parts = []
    for fault in series.faults:
        label = fault_words(fault.kind, fault.subject)
        shown = "" if series.crowded else label
        parts.append((fault.start_s, fault.end_s, shown, f"{label}, {_from_to(fault.start_s, fault.end_s)}"))
    return _staggered(parts, x)


def _offer(rate_rps: float) -> str:
    return f"{number(rate_rps)} requests a second offered"


def _from_to(start_s: float, end_s: float) -> str:
    return f"from {number(round(start_s, 1))} s to {number(round(end_s, 1))} s"


def _staggered(parts: list[tuple[float, float, str, str]], x: Scale) -> tuple[Stretch, ...]:
    """Places the stretches; a label that would touch the one before it goes to the other row, or is left out."""
    free_from = [float("-inf"), float("-inf")]
    placed = []
    for start_s, end_s, label, story in parts:
        left, right = x.place(start_s), x.place(end_s)
        half = len(label) * _LETTER_WIDTH / 2
        middle = round(min(max((left + right) / 2, LEFT + half), RIGHT - half), 1)
        row = next((row for row in (0, 1) if middle - half >= free_from[row]), None)
        if row is not None:
            free_from[row] = middle + half + _LABEL_GAP
        shown = "" if row is None else label
        placed.append(Stretch(left, round(right - left, 1), shown, middle, row or 0, story))
    return tuple(placed)
