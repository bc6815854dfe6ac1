"""The frames of HTTP/2 and the state of a stream: numbers, how a frame is written (RFC 9113, sections 4 and 6).

Rule: pure; names are the RFC's.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.load.hpack_blocks import Answer

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x1, 0x4, 0x8, 0x20
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 2, 3, 4, 5
NO_ERROR, PROTOCOL_ERROR, CANCEL = 0, 1, 8
LOST = -1
"""In place of an HTTP/2 error code: the connection broke, or its peer did not take the stream any more."""

DEFAULT_WINDOW = 65_535
MAX_WINDOW = 2**31 - 1
FRAME_MAX = 16_384
"""Frames of this size every peer takes (RFC 9113, 4.2); larger ones are never sent."""
LAST_STREAM = 2**31 - 3
REPLENISH = 1 << 20
"""Bytes received after which the peer is allowed as many again."""

HEAD = struct.Struct(">HBBBI")  # length in three octets as two fields, type, flags, stream
U32 = struct.Struct(">I")
SETTING = struct.Struct(">HI")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A whole frame."""
    length = len(payload)
    return HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream) + payload


def not_connected(_: bytes) -> None:
    """Where a connection writes before it is made."""
    raise ConnectionError("not connected")


def header_block(flags: int, payload: bytes) -> bytes:
    """The part of a HEADERS frame's payload that is the header block."""
    start = 1 if flags & PADDED else 0
    end = len(payload) - payload[0] if start else len(payload)
    return payload[start + (5 if flags & PRIORITY_FLAG else 0) : end]


class Stream:
    """One request: who it is for, what came of it so far, and what is still to be sent."""

    __slots__ = ("answer", "credit", "id", "received", "token", "unsent")

    def __init__(self, token: int, credit: int) -> None:
        self.id = 0
        self.token = token
        self.credit = credit
        self.received = 0
        self.answer: Answer | None = None
        self.unsent: bytes = b""
