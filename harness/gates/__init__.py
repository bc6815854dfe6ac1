"""The gates, one file each, found by listing this package.

Rule: a file defines `GATE`, judges only the evidence it requires, and is found without being registered anywhere.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.model import Gate


def all_gates() -> dict[str, Gate]:
    """Every gate by its id, in order of ids; raises ValueError when there is none or two share an id."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return by_id(importlib.import_module(f"{__name__}.{name}").GATE for name in names)


def by_id(gates: Iterable[Gate]) -> dict[str, Gate]:
    """The gates by id; raises ValueError when there is none or two share an id."""
    found: dict[str, Gate] = {}
    for gate in gates:
        if gate.id in found:
            raise ValueError(f"two gates are called {gate.id}")
        found[gate.id] = gate
    if not found:
        raise ValueError("no gates found: without a gate nothing is proven")
    return found
