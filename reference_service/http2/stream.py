"""One call as HTTP/2 carries it: what came of it, and what is still to be sent.

Rule: holds state and no logic of the connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from reference_service.http2.headers import Head


class Stream:
    """A call that is not over. `credit` is how many bytes of data the peer still takes on it."""

    __slots__ = (
        "arrived",
        "closed_by_peer",
        "credit",
        "ending",
        "feed",
        "head",
        "id",
        "pending",
        "received",
        "task",
        "timer",
    )

    def __init__(self, number: int, head: Head, credit: int) -> None:
        self.id, self.head, self.credit = number, head, credit
        self.received: list[bytes] = []
        self.arrived = 0
        self.closed_by_peer = False
        self.feed: asyncio.Queue[bytes | None] | None = None
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.pending = b""
        self.ending: bytes | None = None

    def take(self, data: bytes) -> None:
        """Keep what arrived."""
        self.received.append(data)
        self.arrived += len(data)

    def whole(self) -> bytes:
        """All that arrived and was not taken yet."""
        parts, self.received = self.received, []
        self.arrived = 0
        return parts[0] if len(parts) == 1 else b"".join(parts)
