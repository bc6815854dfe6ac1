"""Places what is marked in a small chart: the shaded fault, the upright lines for TTD and TTR, the names at the right.

Rule: pure; places only, in units of the drawing. What is not known is not marked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.numbers import quantity
from reports.wording import broken_words, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reports.experiments import Try
    from reports.scales import Scale

_LETTER_WIDTH = 6.2
_LABEL_MAX = 44
_NAME_MAX = 9
_NAME_HEIGHT = 12.0
_BESIDE = 4.0


@dataclass(frozen=True, slots=True)
class Shade:
    """The stretch in which something was broken: its place, its label with the label's middle, and the full story."""

    left: float
    width: float
    label: str
    middle: float
    story: str


@dataclass(frozen=True, slots=True)
class Upright:
    """A line through all panels: its place, its style class, its label (none for some) with place, anchor and row."""

    at: float
    style: str
    label: str
    beside: float
    anchor: str
    row: int
    story: str


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a line or a band at the right edge: where, as shown, its style class, and in full."""

    at: float
    text: str
    style: str
    full: str


def shade(item: Try, x: Scale) -> Shade | None:
    """From the fault's request until it was proven gone, or to the end of the load; None without a fault."""
    if item.requested_s is None:
        return None
    gone = item.removed_s is not None
    end_s = item.removed_s if item.removed_s is not None else item.seconds.end_s
    left, right = x.place(0.0), x.place(end_s - item.origin_s)
    words = broken_words(item.name, item.subjects)
    label = shortened(words, _LABEL_MAX)
    half = len(label) * _LETTER_WIDTH / 2
    middle = min(max((left + right) / 2, x.start + half), x.end - half)
    lasted = f"proven gone after {quantity(end_s - item.requested_s, 's')}" if gone else "never proven gone"
    return Shade(left, round(right - left, 1), label, round(middle, 1), f"{words}, {lasted}")


def uprights(item: Try, x: Scale) -> tuple[Upright, ...]:
    """When the fault was proven in place, detected (TTD) and recovered from (TTR), as far as that was measured."""
    if item.requested_s is None:
        return ()
    found = []
    if item.in_place_s is not None:
        after_s = item.in_place_s - item.requested_s
        story = f"the fault was proven in place after {quantity(after_s, 's')}"
        found.append(Upright(x.place(after_s), "in-place", "", 0.0, "start", 0, story))
    told = (
        (item.ttd_s, "ttd", "the edge stopped sending there"),
        (item.ttr_s, "ttr", "the objectives were met again"),
    )
    seen = sorted((after_s, style, meaning) for after_s, style, meaning in told if after_s is not None)
    return (*found, *(_labelled(x, *mark, row) for row, mark in enumerate(seen, start=1)))


def _labelled(x: Scale, after_s: float, style: str, meaning: str, row: int) -> Upright:
    """The label stands right of its line, or left of it where it would leave the drawing.

    The earlier mark is in the upper row, so that its line does not cross the later one's label.
    """
    at, label = x.place(after_s), f"{style.upper()} {quantity(after_s, 's')}"
    fits = at + _BESIDE + len(label) * _LETTER_WIDTH <= x.end
    beside, anchor = (at + _BESIDE, "start") if fits else (at - _BESIDE, "end")
    return Upright(at, style, label, round(beside, 1), anchor, row, f"{label}: {meaning}")


def names(wanted: Iterable[tuple[float, str, str]], bottom: float) -> tuple[Name, ...]:
    """Names at their wanted heights (height, name, style class), pushed apart so that none covers another."""
    placed: list[Name] = []
    for at, text, style in sorted(wanted, reverse=True):
        lowest = placed[-1].at - _NAME_HEIGHT if placed else bottom
        placed.append(Name(round(min(at, lowest), 1), shortened(text, _NAME_MAX), style, text))
    return tuple(placed)
