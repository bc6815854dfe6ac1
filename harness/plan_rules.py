"""What the types of a Plan check their values by.

Rule: standard library only; each rule raises ValueError in words that name the key.
"""

from __future__ import annotations

import math
from typing import Any

CLOSED: dict[str, Any] = {"extra": "forbid"}
"""pydantic's setting by which a key that a type does not have is an error."""


def require(condition: bool, message: str) -> None:  # noqa: FBT001 - reads as a sentence
    """`condition` must hold."""
    if not condition:
        raise ValueError(message)


def positive(**values: float | None) -> None:
    """Each value must be a finite number above 0, or None."""
    for name, value in values.items():
        require(value is None or (math.isfinite(value) and value > 0), f"{name} must be above 0, not {value}")


def ratio(**values: float) -> None:
    """Each value must lie between 0 and 1."""
    for name, value in values.items():
        require(0 < value < 1, f"{name} must lie between 0 and 1, not {value}")
