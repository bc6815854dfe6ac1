"""Collectors gather evidence; each file here is one, found by listing the package.

Rule: a collector writes down what it observed and judges nothing. What the world prevented is `CollectError`, and
becomes the evidence's error; any other exception is a bug of ours and ends the run.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from harness.access import Access, access_of
from harness.fleet.commands import SOCKET_VARIABLE
from harness.load.process import Placement
from harness.plan_target import Tls

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable

    from harness.fleet.lifecycle import Fleet
    from harness.load.spec import LoadSpec
    from harness.model import Evidence
    from harness.plan import LoadedPlan
    from harness.plan_types import Plan
    from harness.profiles import Profile
    from harness.store import Run


class CollectError(Exception):
    """The world prevented this evidence; the text says what happened and what to look at."""


class Progress(Protocol):
    """Told what a run does now; the command line shows it."""

    def step(self, title: str, expected_s: float) -> None:
        """A new step begins, expected to take `expected_s` seconds."""


@dataclass(kw_only=True)
class Context:
    """What collectors of one run share. `loads` grows by one entry with each scenario, driven or refused.

    The load is shared by `workers`, which are where `placement` says. `able_rps` is the rate that the generator can do,
    from its calibration on; `refused` says which scenarios were therefore not driven, or not up to the rate asked.
    """

    run: Run
    loaded: LoadedPlan
    profile: Profile
    progress: Progress
    workers: int = 1
    placement: Placement = field(default_factory=Placement)
    fleet: Fleet | None = None
    address: str = ""
    requests: Path = Path()
    loads: list[tuple[LoadSpec, Path]] = field(default_factory=list)
    load_errors: dict[str, str] = field(default_factory=dict)
    able_rps: float = math.inf
    refused: dict[str, str] = field(default_factory=dict)
    samples: dict[str, Any] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """The Plan in force."""
        return self.loaded.plan

    @property
    def access(self) -> Access:
        """How the run reaches its target: a fleet's edge by the fleet's own credentials, an attached one as planned."""
        if self.fleet is None:
            return access_of(self.loaded, self.address)
        reach = self.fleet.reach
        return Access(self.address, reach.metadata, Tls(ca=reach.ca))

    def require_fleet(self) -> Fleet:
        """The local fleet. Raises CollectError where the target is only reached, not controlled."""
        if self.fleet is None:
            raise CollectError("needs a target that gonogo controls; this one is attached")
        return self.fleet

    @property
    def breakable(self) -> dict[str, str]:
        """The variables that name what experiments break: the fleet, or resources on Google Cloud.

        Raises CollectError where the target is only reached.
        """
        if gcp := self.plan.target.gcp:
            return gcp.variables(str(self.loaded.resolve(gcp.allow)))
        return {SOCKET_VARIABLE: str(self.require_fleet().client.socket_path)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """Gathers the evidence named in `ids`, in `order` within its `phase`.

    "before" the target is up, "during" its time under load, or "after" it, when `watch` has stopped sampling.
    `needs_control` marks evidence that only a provider which starts and stops the target can give, unless `faults_only`
    says that one which only breaks it, on Google Cloud, can give it too. A collector
    without ids drives load; what it did is in the ledger.
    """

    ids: tuple[str, ...]
    order: int
    collect: Callable[[Context], tuple[Evidence, ...]]
    phase: Literal["before", "during", "after"] = "during"
    needs_control: bool = False
    faults_only: bool = False
    watch: Callable[[Context], contextlib.AbstractContextManager[None]] | None = None

    def possible_with(self, provider: str) -> bool:
        """Whether a target of that provider can give this evidence."""
        return not self.needs_control or provider == "local" or (provider == "gcp" and self.faults_only)


def all_collectors() -> tuple[Collector, ...]:
    """Every collector of the package, in order. Raises ValueError when there is none or two share an id."""
    modules = [importlib.import_module(f"{__name__}.{item.name}") for item in pkgutil.iter_modules(__path__)]
    found = [collector for module in modules for collector in getattr(module, "COLLECTORS", ())]
    ids = [evidence_id for collector in found for evidence_id in collector.ids]
    if not ids or len(set(ids)) != len(ids):
        raise ValueError(f"collectors must exist and have different ids: {ids}")
    return tuple(sorted(found, key=lambda item: item.order))
