"""One call as HTTP/2 carries it: what came of it, and what is still to be sent.

Rule: holds state and no logic of the connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

    from reference_service.http2.headers import Head
    from reference_service.http2.server import Method

NEVER: Final = float("inf")


class Stream:
    """A call that is not over, since `opened_s` of the monotonic clock.

    `method` is what was offered under its path when it began. `credit` is how many bytes of data the peer takes.
    `body` is what arrived and was not taken, `pending` and `ending` what was not sent, `feed` the messages of a method
    that takes several; `held` is how many bytes of all that are counted. `waits_since_s` is since when the call waits
    for its peer, NEVER if it does not; `opened` says that headers of the answer were sent.
    `lasting` ones may have answers for ever; `crumbs` are pieces of a message that carry next to nothing.
    """

    __slots__ = (
        "body", "closed_by_peer", "credit", "crumbs", "ending", "feed", "head", "held", "id", "lasting", "method",
        "opened", "opened_s", "pending", "queued", "room", "task", "timer", "waits_since_s",
    )  # fmt: skip

    def __init__(self, number: int, head: Head, credit: int, now_s: float) -> None:
        self.id, self.head, self.credit = number, head, credit
        self.opened_s = self.waits_since_s = now_s
        self.method: Method | None = None
        self.body: bytes | bytearray = b""
        self.closed_by_peer = self.opened = self.lasting = False
        self.feed: asyncio.Queue[bytes | None] | None = None
        self.queued = self.crumbs = 0
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.pending = b""
        self.ending: bytes | None = None
        self.room: asyncio.Future[None] | None = None
        self.held = 0

    def take(self, data: bytes) -> None:
        """Keep what arrived; pieces are joined, because a small object for each would weigh many times its bytes."""
        if not self.body:
            self.body = data
            return
        if isinstance(self.body, bytes):
            self.body = bytearray(self.body)
        self.body += data
