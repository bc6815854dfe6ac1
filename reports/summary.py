"""The verdict in a few plain lines, for a terminal or a log.

Rule: pure strings; no colour, no width, no path. Whoever prints them decides where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.experiments_table import table, tally
from reports.numbers import number
from reports.wording import OUTCOMES, decision_mark, why, worst_first

if TYPE_CHECKING:
    from harness.model import Result, Verdict


def summary_lines(verdict: Verdict) -> list[str]:
    """Headline, why, each gate that did not pass with its reason, what became of the faults, and the next action."""
    lines = [f"{decision_mark(verdict).symbol} {verdict.headline}", f"  {why(verdict)}"]
    open_gates = [result for result in worst_first(verdict.results) if result.outcome != "PASS"]
    lines += [line for result in open_gates for line in _gate_lines(result)]
    lines += _fault_lines(verdict)
    if verdict.not_judged:
        lines.append(f"  not judged: {len(verdict.not_judged)}, listed in the report")
    return [*lines, f"  next: {verdict.next_action}"]


def _fault_lines(verdict: Verdict) -> list[str]:
    """How many faults were survived, the slowest recovery, and each experiment that did not pass; nothing without."""
    found = tally(verdict.series, verdict.results)
    if found is None:
        return []
    slowest = (
        "" if found.slowest_s is None else f"; slowest recovery {number(found.slowest_s)} s ({found.slowest_words})"
    )
    lines = [f"  {found.mark.symbol} known faults survived as promised: {found.survived} of {found.made}{slowest}"]
    return lines + [f"      {row.mark.symbol} {row.name}: {row.reason}" for row in table(verdict.series) if row.reason]


def _gate_lines(result: Result) -> list[str]:
    mark = OUTCOMES[result.outcome]
    note = "" if result.blocks else (f" (waived by {result.waiver})" if result.waiver else " (not required)")
    return [f"  {mark.symbol} {mark.word.lower()}: {result.title} [{result.gate}]{note}", f"      {result.reason}"]
