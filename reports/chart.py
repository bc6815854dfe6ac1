"""What a chart is made of, ready for the template that draws it.

Rule: data only; places are in units of the drawing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.frame import WIDTH, Frame, Rule

if TYPE_CHECKING:
    from reports.scales import Tick
    from reports.series_tables import Table


@dataclass(frozen=True, slots=True)
class Curve:
    """One drawn quantity: its name, the style class that colours it, and its path."""

    name: str
    style: str
    path: str


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario's histogram: its label, its base line, its bars and the limit that applies to it."""

    label: str
    n: int
    base: float
    path: str
    limit: float | None


@dataclass(frozen=True, slots=True)
class Dot:
    """A measured point: its place, the style class that says how it was judged, and its story."""

    x: float
    y: float
    style: str
    story: str


@dataclass(frozen=True, slots=True)
class Mark:
    """An upright line at a value of note: its place, its label with the label's place and row, its style class."""

    at: float
    label: str
    middle: float
    style: str
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One figure of the page, or why there is none.

    Charts over the run have a `frame`, histograms `rows`; charts over another quantity have neither.
    """

    id: str
    title: str
    reading: str
    measured: bool = False
    width: int = WIDTH
    top: float = 66.0
    bottom: float = 290.0
    x_label: str = "seconds since the run began"
    y_label: str = ""
    x_ticks: tuple[Tick, ...] = ()
    y_ticks: tuple[Tick, ...] = ()
    frame: Frame | None = None
    areas: tuple[Curve, ...] = ()
    lines: tuple[Curve, ...] = ()
    rules: tuple[Rule, ...] = ()
    rule_name: str = ""
    rows: tuple[Row, ...] = ()
    dots: tuple[Dot, ...] = ()
    marks: tuple[Mark, ...] = ()
    table: Table | None = None
