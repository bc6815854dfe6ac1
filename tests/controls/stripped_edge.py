"""A fleet's supervisor whose edge neither retries nor takes a dead zone out: the defect that a control plants.

Rule: only the edge's numbers differ from the product's; everything else is the real supervisor.
"""

from __future__ import annotations

import sys

from harness.fleet import edge_settings, supervisor

NEVER = 1_000_000_000
"""Failures in a row that no experiment reaches; Envoy counts them in 32 bits."""

STRIPPED = {
    "RETRIES": 0,
    "HEALTH_FAILURES_TO_EJECT": NEVER,
    "OUTLIER_GATEWAY_FAILURES": NEVER,
    "OUTLIER_SILENCES": NEVER,
    "OUTLIER_SILENT_CALLS": NEVER,
}


def strip() -> None:
    """Take the safeguards away. Raises AttributeError when one of them has another name by now."""
    for name, value in STRIPPED.items():
        getattr(edge_settings, name)
        setattr(edge_settings, name, value)


if __name__ == "__main__":
    strip()
    sys.exit(supervisor.main(sys.argv[1:]))
