"""The frames of HTTP/2: numbers, and how a frame is written and its payload trimmed (RFC 9113, sections 4 and 6).

Rule: pure; names are the RFC's.
"""

from __future__ import annotations

import struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x1, 0x4, 0x8, 0x20
ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 2, 3, 4, 5, 6
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = 0, 1, 2, 3, 5, 6
REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 7, 8, 9, 11

HEAD_BYTES: Final = 9
DEFAULT_WINDOW: Final = 65_535
MAX_WINDOW: Final = 2**31 - 1
FRAME_MAX: Final = 16_384
"""The size of frame that every peer takes (4.2); larger ones are neither sent nor allowed."""
LAST_STREAM: Final = 2**31 - 1

HEAD: Final = struct.Struct(">HBBBI")  # length in three octets as two fields, type, flags, stream
U32: Final = struct.Struct(">I")
SETTING: Final = struct.Struct(">HI")


class ConnectionBrokenError(Exception):
    """The peer broke the protocol so that the connection can't go on. `code` is the RFC's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A whole frame."""
    length = len(payload)
    return HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream) + payload


def unpadded(flags: int, payload: bytes) -> bytes:
    """The payload of a DATA or HEADERS frame without its padding."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionBrokenError(PROTOCOL_ERROR, "more padding than payload")
    return payload[1 : len(payload) - payload[0]]


def header_block(flags: int, stream: int, payload: bytes) -> bytes:
    """The part of a HEADERS frame's payload that is the header block."""
    payload = unpadded(flags, payload)
    if not flags & PRIORITY_FLAG:
        return payload
    if len(payload) < 5:  # noqa: PLR2004 - the fields of a priority
        raise ConnectionBrokenError(FRAME_SIZE_ERROR, "a priority cut short")
    if U32.unpack_from(payload)[0] & LAST_STREAM == stream:
        raise ConnectionBrokenError(PROTOCOL_ERROR, "a stream that depends on itself")
    return payload[5:]
