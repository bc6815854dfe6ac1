"""Who takes part.

Rule: adding a contender is one entry here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.peers import own, rivals

if TYPE_CHECKING:
    from tests.benchmarks.peers.contender import Contender


def contenders() -> list[Contender]:
    """Everyone, ours first."""
    return [
        own.bare(),
        own.everything(),
        own.everything("TLS"),
        own.everything("mTLS"),
        rivals.triton(batching=False),
        rivals.triton(batching=True),
        rivals.mlserver(0),
        rivals.mlserver(1),
    ]
