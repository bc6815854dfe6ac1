"""The part of a Plan that says which resources on Google Cloud its experiments may break, and how they are reached.

Rule: standard library only. The names here are those that the experiments of `experiments/gcp` read from their
environment. What may be touched at all is said by the allow-list alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from harness.plan_rules import CLOSED, positive, require

ALLOW = "GONOGO_GCP_ALLOW"
"""Environment variable naming the allow-list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gcp:
    """Where the target lies on Google Cloud: its project, the allow-list's file, and the resources to break.

    Each experiment needs its own resources (docs/gcp.md); `limit_s` is how long an operation, then a reading, may take.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = CLOSED
    project: str
    allow: str
    neg: str = ""
    region: str = ""
    service: str = ""
    revision: str = ""
    sql_instance: str = ""
    url_map: str = ""
    path_matcher: str = ""
    path: str = ""
    limit_s: float = 60.0

    def __post_init__(self) -> None:
        require(bool(self.project), "project must name the project on Google Cloud")
        require(bool(self.allow), "allow must name the allow-list's file; without one nothing is touched")
        positive(limit_s=self.limit_s)

    def variables(self, allow: str) -> dict[str, str]:
        """The environment by which experiments find all this; `allow` is where the allow-list's file is."""
        named = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "allow"}
        settings = {f"GONOGO_GCP_{name.upper()}": str(value) for name, value in named.items() if value}
        return settings | {ALLOW: allow}
