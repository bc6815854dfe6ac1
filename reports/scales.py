"""Maps values to places in a drawing, chooses round ticks, and spells the paths of lines and areas.

Rule: pure; the ticks are matplotlib's, the drawing is the templates'. Places are rounded to a tenth of a unit, which no
eye can tell apart and which keeps a chart small and the same on every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from matplotlib.ticker import LogLocator, MaxNLocator

from reports.numbers import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis and the value written there."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Maps low..high to start..end, by logarithm if `log`. Values outside are drawn at the nearer end."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where `value` is drawn."""
        inside = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(inside / self.low) / math.log(self.high / self.low)
        else:
            share = (inside - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, count: int = 6) -> tuple[Tick, ...]:
        """Round values between low and high, at most about `count` on a linear scale, 1-2-5 on a logarithmic one."""
        locator = (
            LogLocator(10, subs=(1, 2, 5), numticks=99) if self.log else MaxNLocator(count, steps=[1, 2, 2.5, 5, 10])
        )
        values = (round(float(value), 9) for value in locator.tick_values(self.low, self.high))
        return tuple(Tick(self.place(value), number(value)) for value in values if self.low <= value <= self.high)


def linear(high: float, start: float, end: float) -> Scale:
    """A scale from zero to the first round value at or above `high`."""
    top = float(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(0, max(high, 1e-9))[-1])
    return Scale(low=0, high=top, start=start, end=end)


def logarithmic(values: Iterable[float], start: float, end: float) -> Scale:
    """A scale over the 1-2-5 steps that enclose the positive `values`; there must be one at least."""
    positive = [value for value in values if value > 0]
    low, high = _step_below(min(positive)), _step_above(max(positive))
    return Scale(low=low, high=high if high > low else low * 10, start=start, end=end, log=True)


def line(points: Iterable[Point | None]) -> str:
    """An SVG path through the points, broken where one is missing; a lone point becomes a dot by its round cap."""
    return "".join(_stroke(list(run)) for present, run in groupby(points, lambda point: point is not None) if present)


def steps(stretches: Iterable[tuple[float, float, float | None]]) -> list[Point | None]:
    """The corners of level stretches (start, end, height); None where one has no height."""
    corners: list[Point | None] = []
    for start, end, height in stretches:
        corners += [None] if height is None else [(start, height), (end, height)]
    return corners


def stems(points: Iterable[Point], base: float) -> str:
    """An SVG path of upright strokes from the base line to each point, for what happens rarely."""
    return "".join(f"M{x:g} {base:g}V{y:g}" for x, y in points)


def area(upper: Sequence[Point], lower: Sequence[Point]) -> str:
    """An SVG path around the area between two lines of equal length."""
    return _stroke([*upper, *reversed(lower)]) + "Z" if upper else ""


def stacked(bands: Mapping[str, Sequence[float | None]], count: int) -> list[tuple[str, list[float], list[float]]]:
    """Each band of `count` values with its lower and upper line, in the given order; without a value counts as zero."""
    layers, lower = [], [0.0] * count
    for name, values in bands.items():
        upper = [below + (value or 0.0) for below, value in zip(lower, values, strict=True)]
        layers.append((name, lower, upper))
        lower = upper
    return layers


def _stroke(points: Sequence[Point | None]) -> str:
    pairs = [f"{point[0]:g} {point[1]:g}" for point in points if point is not None]
    return f"M{pairs[0]}L" + " ".join(pairs[1:] or pairs)


def _step_below(value: float) -> float:
    return max(step for step in _steps(value) if step <= value)


def _step_above(value: float) -> float:
    return min(step for step in _steps(value) if step >= value)


def _steps(value: float) -> list[float]:
    decade = math.floor(math.log10(value))
    return [factor * 10.0**power for power in (decade - 1, decade, decade + 1) for factor in (1, 2, 5)]
