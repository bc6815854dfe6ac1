"""What peers may make a server keep: bounds, and the count of bytes held against them.

Rule: every resource that a peer can use up has its bound here, or beside the one place that spends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FAIR_STREAMS: Final = 64
"""Calls that each connection may have open, however many all others have."""
CONNECTION_SHARE: Final = 4
"""One connection may hold a quarter of all bytes held."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Of one connection: `streams` calls open. Of one call: bytes of its message and of its headers.

    Of the server: `connections`, `calls` open (beyond them a connection has FAIR_STREAMS at most), and `held_bytes` of
    messages that are not whole, wait for their turn, or were not read by the peer. `slow_s` is how long a peer may take
    to greet, to send a message, and to read an answer.
    """

    streams: int = 1024
    message_bytes: int = 1 << 20
    metadata_bytes: int = 8 << 10
    connections: int = 512
    calls: int = 8192
    held_bytes: int = 64 << 20
    slow_s: float = 10.0

    @property
    def connection_bytes(self) -> int:
        """What one connection may hold: at least a message."""
        return max(self.held_bytes // CONNECTION_SHARE, self.message_bytes + 5)


class Counts:
    """What a server counts: calls open and bytes held now, and what it refused, by reason.

    `busy` connections have sent more than one turn of the loop takes in.
    """

    __slots__ = ("busy", "calls", "held_bytes", "refused")

    def __init__(self) -> None:
        self.calls = self.busy = 0
        self.held_bytes = 0
        self.refused: dict[str, int] = {}

    def refuse(self, reason: str) -> None:
        """Count one refusal of a call or a connection."""
        self.refused[reason] = self.refused.get(reason, 0) + 1
