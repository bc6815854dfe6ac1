"""Renders a verdict as one self-contained page that needs no network, no script and no second file.

Rule: pure: the same verdict gives the same bytes. The template loader is the only access to files, every value is
escaped, and a name that a template misspells is an error.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from reports import numbers, wording
from reports.charts import charts
from reports.experiments_table import COLUMNS, table, tally
from reports.glossary import glossary
from reports.key_numbers import key_numbers
from reports.multiples import multiples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model import Verdict

_BLOCKERS_ON_PAGE_ONE = 6
_CHECKS_UNFOLDED = 16
"""A gate with more checks shows those that did not pass; the others unfold."""


def render(verdict: Verdict) -> str:
    """The report page of `verdict`."""
    return (
        _templates()
        .get_template("report.html.jinja")
        .render(
            verdict=verdict,
            results=wording.worst_first(verdict.results),
            titles={result.gate: result.title for result in verdict.results},
            blocking=[result for result in wording.worst_first(verdict.results) if result.blocks],
            blockers_shown=_BLOCKERS_ON_PAGE_ONE,
            checks_unfolded=_CHECKS_UNFOLDED,
            key_numbers=key_numbers(verdict),
            charts=charts(verdict.series),
            experiments=_experiments(verdict.series),
            glossary=glossary(experiments=bool(verdict.series.get("experiments"))),
        )
    )


def _experiments(series: Mapping[str, Any]) -> dict[str, Any]:
    """What was broken on purpose, ready for its template; empty where nothing was."""
    if not series.get("experiments"):
        return {}
    return {"table": table(series), "columns": COLUMNS, "tally": tally(series), "multiples": multiples(series)}


@cache
def _templates() -> Environment:
    """The templates and styles of this package; compiled once, never written to."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("reports", "templates"), PackageLoader("reports", "static")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update({"words": wording, "numbers": numbers})
    return environment
