"""The types of a Plan: what is launched, how it is reached, and what it must hold.

Rule: standard library only. `harness.plan` fills them from a file; nothing here reads one. Each class refuses values
that make no sense, in words that name the key. Key names are the TOML key names. Units are last in every name.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from harness.model import Stage
from harness.plan_drills import Drill, DrillName
from harness.plan_experiments import OWN_GATES, Experiment, check_experiments
from harness.plan_notify import Notify
from harness.plan_rules import CLOSED as _CLOSED
from harness.plan_rules import positive as _positive
from harness.plan_rules import ratio as _ratio
from harness.plan_rules import require as _require
from harness.plan_target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Who is launched."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED
    name: str
    owner: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What the launch is for. `gates` may add gates to the stage's own, never leave one out without a waiver."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED
    stage: Stage
    gates: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """Service-level objectives, judged on response time (done - intended) with `confidence`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED
    availability: float
    latency_ms_p99: float
    spike_latency_ms_p99: float
    baseline_latency_ms_p99: float = 200.0
    first_attempt_failure_ratio_max: float = 0.001
    retry_ratio_max: float = 0.2
    confidence: float = 0.95
    timeout_s: float = 2.0

    def __post_init__(self) -> None:
        _ratio(
            availability=self.availability,
            confidence=self.confidence,
            first_attempt_failure_ratio_max=self.first_attempt_failure_ratio_max,
            retry_ratio_max=self.retry_ratio_max,
        )
        _positive(
            latency_ms_p99=self.latency_ms_p99,
            spike_latency_ms_p99=self.spike_latency_ms_p99,
            baseline_latency_ms_p99=self.baseline_latency_ms_p99,
            timeout_s=self.timeout_s,
        )
        _require(self.confidence >= 0.9, "confidence below 0.9 proves too little to launch on")  # noqa: PLR2004


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests per second expected; every scenario takes its rates from here."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED
    launch_rps: float
    spike_rps: float
    six_months_rps: float
    one_year_rps: float

    def __post_init__(self) -> None:
        _positive(launch_rps=self.launch_rps, spike_rps=self.spike_rps)
        _positive(six_months_rps=self.six_months_rps, one_year_rps=self.one_year_rps)
        _require(self.spike_rps > self.launch_rps, "spike_rps must be above launch_rps")
        _require(self.one_year_rps >= self.launch_rps, "one_year_rps must be at least launch_rps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """How much of the traffic must have been compared, and how alike the two versions' decisions must be."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED
    pairs_min: int = 1000
    agreement_min: float = 0.9
    unjoined_ratio_max: float = 0.01

    def __post_init__(self) -> None:
        _require(self.pairs_min >= 1, "pairs_min must be 1 or more")
        _ratio(agreement_min=self.agreement_min, unjoined_ratio_max=self.unjoined_ratio_max)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How exactly the running service must repeat the golden answers of the model it claims to serve."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED
    answer_tolerance: float = 1e-4

    def __post_init__(self) -> None:
        _ratio(answer_tolerance=self.answer_tolerance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """The file that `reference-service check-gpu` wrote on a GPU, how old it may be, and what its answers must hold.

    `latency_ms_p99` bounds the engine alone, at each size of batch that was timed.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED
    evidence: str
    age_days_max: float = 30.0
    answer_tolerance: float = 1e-4
    latency_ms_p99: float = 10.0

    def __post_init__(self) -> None:
        _require(bool(self.evidence.strip()), "evidence must name the file that check-gpu wrote")
        _positive(age_days_max=self.age_days_max, latency_ms_p99=self.latency_ms_p99)
        _ratio(answer_tolerance=self.answer_tolerance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A named owner's acceptance, until `expires`, of one gate that fails or is unknown."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED
    gate: str
    owner: str
    reason: str
    granted: dt.date
    expires: dt.date

    def __post_init__(self) -> None:
        for name in ("gate", "owner", "reason"):
            _require(bool(getattr(self, name).strip()), f"{name} must not be empty")
        _require(self.granted <= self.expires, "expires must not lie before granted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A fact that only people can state."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED
    statement: str
    owner: str
    declared: dt.date
    expires: dt.date


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole of `readiness.toml`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED
    service: Service
    launch: Launch
    target: Target
    slo: Slo
    traffic: Traffic
    experiments: Mapping[str, Experiment] = field(default_factory=dict)
    shadow: Shadow = field(default_factory=Shadow)
    quality: Quality = field(default_factory=Quality)
    gpu: Gpu | None = None
    notify: tuple[Notify, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    declarations: Mapping[str, Declaration] = field(default_factory=dict)
    drills: Mapping[DrillName, Drill] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_experiments(self.experiments.items())

    @property
    def catalogue(self) -> tuple[str, ...]:
        """The experiments that one gate judges together: all without a gate of their own."""
        return tuple(name for name in self.experiments if name not in OWN_GATES)
