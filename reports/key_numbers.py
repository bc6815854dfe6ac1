"""The few numbers that a director asks for, taken from the checks of the gates that own them.

Rule: pure; a number that this run did not measure is named as such, never left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reports.experiments_table import Tally, recovery_check, tally
from reports.numbers import NOT_MEASURED, against, span
from reports.wording import OUTCOMES, Mark

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.model import Check, Result, Verdict


@dataclass(frozen=True, slots=True)
class Asked:
    """A number asked for: its name on page one, the gate that owns it, and the checks that carry it.

    `complement`: the check holds the share of bad requests, and people ask for the share of good ones.
    """

    name: str
    gate: str
    checks: tuple[str, ...]
    complement: bool = False


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """A number as page one shows it. `mark` is None when its gate was not judged."""

    name: str
    observed: str
    interval: str
    limit: str
    mark: Mark | None


ASKED = (
    Asked("Response time under launch load, p99", "sustained_latency", ("response_p99",)),
    Asked("Response time in a traffic spike, p99", "spike_latency", ("response_p99",)),
    Asked("Availability", "availability", ("failed",), complement=True),
    Asked("Capacity within the objectives, at least", "capacity", ("in_six_months",)),
    Asked("Requests lost when a zone fails", "zone_failure", ("lost",)),
    Asked("Recovery after a zone fails", "zone_failure", ("ttr",)),
    Asked("Switching versions under load, the slower way", "rollback", ("promotion", "rollback")),
)


def key_numbers(verdict: Verdict) -> tuple[KeyNumber, ...]:
    """Every number in ASKED, measured or not; and those of all faults, where any was made."""
    results = {result.gate: result for result in verdict.results}
    found = tally(verdict.series, verdict.results)
    faults = () if found is None else (_survived(found), _slowest(found, verdict.results))
    return (*(_key_number(asked, results.get(asked.gate)) for asked in ASKED), *faults)


def _survived(found: Tally) -> KeyNumber:
    return KeyNumber("Known faults survived as promised", f"{found.survived} of {found.made}", "", "", found.mark)


def _slowest(found: Tally, results: Iterable[Result]) -> KeyNumber:
    """The longest TTR, against the limit of the experiment that it comes from, where the Plan has one."""
    name = f"Slowest recovery after a fault{f' ({found.slowest_words})' if found.slowest else ''}"
    check = recovery_check(found.slowest, results)
    observed, limit = against(found.slowest_s, check.limit if check else None, "s")
    return KeyNumber(name, observed, "", f"≤ {limit}" if limit else "", OUTCOMES[check.outcome] if check else None)


def _key_number(asked: Asked, result: Result | None) -> KeyNumber:
    if result is None:
        return KeyNumber(asked.name, NOT_MEASURED, "", "", None)
    check = _check(asked, result)
    if check is None:
        return KeyNumber(asked.name, NOT_MEASURED, "", "", OUTCOMES[result.outcome])
    shown = _good_share(check) if asked.complement else check
    observed, limit = against(shown.observed, shown.limit, shown.unit)
    asks = f"{shown.comparison} {limit}" if limit else ""
    return KeyNumber(asked.name, observed, span(shown.interval, shown.unit), asks, OUTCOMES[check.outcome])


def _check(asked: Asked, result: Result) -> Check | None:
    """The check that carries the number; of several, the one with the largest value."""
    found = [check for check in result.checks if check.name in asked.checks and check.observed is not None]
    return max(found, key=lambda check: check.observed or 0.0, default=None)


def _good_share(check: Check) -> Check:
    """The same check told from the other side: at most 0.05 % bad is at least 99.95 % good."""
    return replace(
        check,
        observed=None if check.observed is None else 1 - check.observed,
        limit=None if check.limit is None else 1 - check.limit,
        comparison="≥",
        interval=None if check.interval is None else (1 - check.interval[1], 1 - check.interval[0]),
    )
