"""The frames of HTTP/2 and the state of a stream: numbers, how a frame is written (RFC 9113, sections 4 and 6).

Rule: pure; names are the RFC's.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.load.answer_blocks import Answer

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x1, 0x4, 0x8, 0x20
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)
NO_ERROR, CANCEL = 0, 8
LOST = -1
"""In place of an HTTP/2 error code: the connection broke, or its peer did not take the stream any more."""

DEFAULT_WINDOW = 65_535
MAX_WINDOW = 2**31 - 1
FRAME_MAX = 16_384
"""The size of frame that every peer takes (RFC 9113, 4.2); larger ones are neither sent nor allowed."""
HEADERS_MAX = 65_536
"""Most bytes of headers taken for one answer: the `hpack` library's own limit, which peers are told."""
LAST_STREAM = 2**31 - 3
REPLENISH = 1 << 20
"""Bytes received after which the peer is allowed as many again."""
MESSAGE_HEAD_SIZE = 5
"""How much of an answer's data is kept."""

HEAD = struct.Struct(">HBBBI")  # length in three octets as two fields, type, flags, stream
U32 = struct.Struct(">I")
SETTING = struct.Struct(">HI")


class Http2Error(Exception):
    """The peer sent what has no meaning in HTTP/2, and what follows would have none either."""


def frame(kind: int, flags: int, stream: int, payload: bytes | memoryview = b"") -> bytes:
    """A whole frame."""
    length = len(payload)
    return HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream) + payload


_OUR_SETTINGS = (
    (HEADER_TABLE_SIZE, 0),
    (ENABLE_PUSH, 0),
    (INITIAL_WINDOW_SIZE, MAX_WINDOW),
    (MAX_HEADER_LIST_SIZE, HEADERS_MAX),
)
OPENING = (
    PREFACE
    + frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*setting) for setting in _OUR_SETTINGS))
    + frame(WINDOW_UPDATE, 0, 0, U32.pack(MAX_WINDOW - DEFAULT_WINDOW))
)
"""What a client sends first: the peer may send as much as it likes, push nothing, and keep no header table."""


def nowhere(_: bytes) -> None:
    """Where a connection writes that is not there yet, or no more."""


def unpadded(flags: int, payload: bytes) -> bytes:
    """The payload of a DATA or HEADERS frame without its padding. Raises Http2Error when there is more of it."""
    if not flags & PADDED:
        return payload
    end = len(payload) - payload[0]
    if end < 1:
        raise Http2Error("more padding than payload")
    return payload[1:end]


def header_block(flags: int, payload: bytes) -> bytes:
    """The part of a HEADERS frame's payload that is the header block. Raises Http2Error when it is cut short."""
    payload = unpadded(flags, payload)
    if not flags & PRIORITY_FLAG:
        return payload
    if len(payload) < 5:  # noqa: PLR2004 - the fields of a priority
        raise Http2Error("a priority cut short")
    return payload[5:]


class Stream:
    """One request: who it is for and what is sent, what came of it so far, and what is still to be sent.

    `id` is 0 until it is sent; `head` begins with the first MESSAGE_HEAD_SIZE bytes of the data `received`.
    """

    __slots__ = ("answer", "body", "credit", "head", "id", "received", "token", "unsent", "varying")

    def __init__(self, token: int, varying: bytes, body: bytes) -> None:
        self.token, self.varying, self.body = token, varying, body
        self.id = self.credit = self.received = 0
        self.head = b""
        self.answer: Answer | None = None
        self.unsent: bytes | memoryview = b""
