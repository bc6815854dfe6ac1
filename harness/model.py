"""The frozen types that evidence, gates, verdicts and reports share.

Rule: standard library only, and nothing here acts; a type may refuse to exist in an impossible state.
Tables are pandas data frames; they are typed `Any` so that this module depends on nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Table = Any
"""A pandas.DataFrame; the ledger's, once the judge has read it, a `harness.slices.Requests`."""


class Outcome(StrEnum):
    """What a gate says. There is no "not applicable"."""

    PASS = "PASS"  # noqa: S105 - an outcome, not a password
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


class Decision(StrEnum):
    """What a verdict says."""

    GO = "GO"
    NO_GO = "NO-GO"


class Stage(StrEnum):
    """What the launch is for; `load` is any service that can only be reached, and is no launch decision."""

    INTERNAL = "internal"
    BETA = "beta"
    GA = "ga"
    LOAD = "load"


class Status:
    """Values of the ledger's `status` column beside the gRPC codes 0 to 16."""

    OK = 0
    OPEN_AT_CUTOFF = -1
    CAP_FULL = -2
    GENERATOR_LATE = -3
    INDETERMINATE = (1, 2, 4, -1)
    """CANCELLED, UNKNOWN, DEADLINE_EXCEEDED and open at cut-off: the service may or may not have answered."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that belongs to an evidence document, named by its content."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one collector observed, or the error that prevented it.

    `facts` is the JSON document; `tables` are its attachments as pandas data frames, keyed by attachment name
    without its suffix. `subject` is the service version observed.
    """

    id: str
    collector: str
    subject: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One comparison of an observed value with its limit; a gate makes one or more.

    `comparison` is how observed must stand to the limit ("≤", "≥", "="). Each end of `interval` is at
    the Plan's confidence.
    `n` counts the observations. `reason` is one line in words a director reads.
    """

    name: str
    outcome: Outcome
    reason: str
    observed: float | None = None
    limit: float | None = None
    comparison: str = "≤"
    unit: str = ""
    interval: tuple[float, float] | None = None
    n: int | None = None

    def headroom(self) -> float | None:
        """Share of the limit still unused, 0 at the limit and 1 far from it; None where there is no such limit."""
        if self.observed is None or not self.limit or self.outcome is not Outcome.PASS:
            return None
        if self.comparison == "≥":
            return 1.0 if self.observed <= 0 else max(0.0, 1.0 - self.limit / self.observed)
        return max(0.0, 1.0 - self.observed / self.limit)


@dataclass(frozen=True, slots=True)
class Case:
    """What one gate may see: the Plan and the evidence that the gate requires, nothing else."""

    plan: Any  # harness.plan_types.Plan, which is built from this module
    evidence: Mapping[str, Evidence]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One criterion of a launch. `judge` is pure and returns at least one check."""

    id: str
    area: str
    title: str
    failure_title: str
    why: str
    advice: str
    requires: tuple[str, ...]
    judge: Callable[[Case], tuple[Check, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A gate's judgement: the worst of its checks, with all that is needed to argue about it."""

    gate: str
    area: str
    title: str
    why: str
    outcome: Outcome
    reason: str
    checks: tuple[Check, ...]
    evidence: tuple[str, ...]
    advice: str
    reproduce: str
    required: bool
    waiver: str | None = None

    @property
    def blocks(self) -> bool:
        """Whether this result alone makes the verdict NO-GO."""
        return self.required and self.outcome is not Outcome.PASS and self.waiver is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The decision for a stage, every result, and what was not judged. Everything a report shows is in here."""

    schema: int
    run_id: str
    decision: Decision
    headline: str
    stage: Stage
    exit_code: int
    as_of: str
    profile: str
    service: Mapping[str, str]
    subject: str
    results: tuple[Result, ...]
    not_judged: tuple[Mapping[str, str], ...]
    waivers: tuple[Mapping[str, str], ...]
    declarations: tuple[Mapping[str, str], ...]
    weakest_area: str
    next_action: str
    limits_of_evidence: tuple[str, ...]
    environment: Mapping[str, Any]
    series: Mapping[str, Any]


_WORST_FIRST = (Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS)


def worst(outcomes: tuple[Outcome, ...]) -> Outcome:
    """FAIL before UNKNOWN before PASS. An empty set of outcomes proves nothing and is an error."""
    if not outcomes:
        msg = "no outcomes to combine: an empty set of checks is not a pass"
        raise ValueError(msg)
    return min(outcomes, key=_WORST_FIRST.index)
