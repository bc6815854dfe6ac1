"""What a Plan says of disaster-recovery drills: how soon the service must be back, and how much it may have lost.

Rule: standard library only, like all of a Plan's types. A drill that the Plan does not name is held to the defaults
here when it is run by hand; what counts for a launch is named in the Plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from harness.plan_rules import CLOSED as _CLOSED
from harness.plan_rules import positive as _positive
from harness.plan_rules import require as _require

DrillName = Literal["zone_failure", "rollback", "data_loss", "bad_backup", "region_loss"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One drill's targets, the interval of the backups during it, and for how long it counts.

    RTO: from the disaster until the SLO is met under load, and for 5 s on. RPO: how far back acknowledged requests are
    missing from the restored journal; with 0 none may be.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED
    rto_s_max: float
    rpo_s_max: float = 0.0
    backup_every_s: float = 2.0
    expires_days: float = 30.0

    def __post_init__(self) -> None:
        _positive(rto_s_max=self.rto_s_max, backup_every_s=self.backup_every_s, expires_days=self.expires_days)
        _require(0 <= self.rpo_s_max < float("inf"), f"rpo_s_max must be 0 or more, not {self.rpo_s_max}")


DEFAULTS: Mapping[str, Drill] = {
    "zone_failure": Drill(rto_s_max=5),
    "rollback": Drill(rto_s_max=5),
    "data_loss": Drill(rto_s_max=30, rpo_s_max=5),
    "bad_backup": Drill(rto_s_max=30, rpo_s_max=10),
    "region_loss": Drill(rto_s_max=60, rpo_s_max=5),
}
"""Every drill there is, with the targets that hold where a Plan names none."""
