"""What a Plan says of experiments: which file breaks the service, how often, and the limits its effects must keep.

Rule: as in `harness.plan_types`: standard library only, and values that make no sense are refused in words that name
the key. A limit that is not given is not judged; what may be lost, and how much of the error budget, always is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from harness.plan_rules import CLOSED as _CLOSED
from harness.plan_rules import positive as _positive
from harness.plan_rules import require as _require

if TYPE_CHECKING:
    from collections.abc import Iterable

ZONE_CRASH, ROLLBACK = "zone_crash", "rollback"
OWN_GATES = (ZONE_CRASH, ROLLBACK)
"""Experiments with a gate of their own; all others are the catalogue, judged by one gate."""
SCENARIOS = frozenset({"sustained", "spike", "staircase", "shadow", "ramp", "soak"})
"""Names of other loads; an experiment's load has the experiment's name."""
JUDGED = {ZONE_CRASH: ("ttd_s_max", "ttr_s_max"), ROLLBACK: ("switch_s_max",)}
CATALOGUE_JUDGED = ("ttd_s_max", "ttr_s_max", "over_slo_ratio_max", "retry_amplification_max")
"""The limits, beside what may be lost, that are judged of those two and of all others."""
LIMITS = ("switch_s_max", *CATALOGUE_JUDGED)
NAME = re.compile(r"[a-z][a-z0-9_]*")
"""A name is that of a file, of a load and of checks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One Chaos Toolkit file, how often it is run, and the limits that each run must keep.

    Without `file` it is `local/NAME.json`. `over_slo_ratio_max` is of the requests due in the fault's window;
    `retry_amplification_max` is attempts / requests; `budget_share_max` is the share of 30 days' error budget that one
    run may spend: beyond it the experiment is ended, and has failed.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED
    file: str = ""
    repeats: int = 1
    lost_max: int = 0
    ttd_s_max: float | None = None
    ttr_s_max: float | None = None
    switch_s_max: float | None = None
    over_slo_ratio_max: float | None = None
    retry_amplification_max: float | None = None
    budget_share_max: float = 0.01

    def __post_init__(self) -> None:
        _require(self.repeats >= 1, f"repeats must be 1 or more, not {self.repeats}")
        _require(self.lost_max >= 0, f"lost_max must be 0 or more, not {self.lost_max}")
        _positive(ttd_s_max=self.ttd_s_max, ttr_s_max=self.ttr_s_max, switch_s_max=self.switch_s_max)
        for name, least, most in (("over_slo_ratio_max", 0, 1), ("budget_share_max", 0, 1)):
            value = getattr(self, name)
            _require(value is None or least <= value <= most, f"{name} must lie between {least} and {most}")
        amplification = self.retry_amplification_max
        _require(amplification is None or amplification >= 1, "retry_amplification_max must be 1 or more")

    def file_of(self, name: str) -> str:
        """Where its file lies, seen from the folder of experiments; `name` is its own in the Plan."""
        return self.file or f"local/{name}.json"


def check_experiments(experiments: Iterable[tuple[str, Experiment]]) -> None:
    """Refuse names that can't name a file and a load, and keys that would not be judged. Raises ValueError."""
    for name, experiment in experiments:
        _require(bool(NAME.fullmatch(name)), f"experiments.{name}: a name is made of a-z, 0-9 and _")
        _require(name not in SCENARIOS, f"experiments.{name}: another load of the run has this name")
        once = f"experiments.{name}.repeats: this one is run once; repeat its file under another name"
        _require(name not in OWN_GATES or experiment.repeats == 1, once)
        judged = JUDGED.get(name, CATALOGUE_JUDGED)
        for key in LIMITS:
            said = f"experiments.{name}.{key}: not judged of this one, which takes {', '.join(judged)}"
            _require(key in judged or getattr(experiment, key) is None, said)
