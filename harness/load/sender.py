"""What the engine asks of a protocol: to send requests at once, and to say of each how it ended.

Rule: a sender never waits, never retries and never decides when; it says of every request exactly once what became of
it, whatever the peer does, except of those it was told to abandon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable


class AnsweredBy(NamedTuple):
    """Who answered, by the response's own metadata; "" where it does not say."""

    zone: str
    model_version: str


NOBODY = AnsweredBy("", "")

Finish: TypeAlias = "Callable[[int, int, int, AnsweredBy], None]"
"""Called with (index, status, response_bytes, answered_by): response_bytes is the size of the message alone."""


class SenderError(Exception):
    """The load cannot be sent as specified (a certificate, a secret, a method); the text says what to mend."""


class Sender(Protocol):
    """Sends the messages of a pool over connections of its own, on the event loop that made it."""

    connections: int

    async def connect(self, limit_s: float) -> int:
        """Open all connections; returns how many were up within `limit_s`.

        A peer that cannot be reached is not an error: its requests fail, and the ledger says so.
        """

    def send(self, index: int, message: int, request_id: str) -> None:
        """Send the pool's message number `message` as request `index`; `finish` tells its end, never from within."""

    def abandon(self) -> None:
        """Forget every open request: none of them is finished any more."""

    async def close(self) -> None:
        """Close the connections, within a second."""
