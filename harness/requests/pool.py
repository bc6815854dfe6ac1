"""What making requests ends in: a pool of messages, or the reason why there is none.

Rule: plain data.
"""

from __future__ import annotations

from dataclasses import dataclass


class RequestsError(Exception):
    """No requests can be made for this target; the text says what is wrong, where, and what to give."""


@dataclass(frozen=True, slots=True)
class RequestPool:
    """Serialised messages, as they are sent, and where their contents come from."""

    messages: tuple[bytes, ...]
    origin: str
