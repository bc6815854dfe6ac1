"""The gRPC status of a call, by what came back of it and how its stream ended.

Rule: pure; the mappings are gRPC's own. A call counts as OK only if exactly one whole message came and a status of 0
behind it: whatever else is not what was asked for (gRPC, statuscodes: INTERNAL).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from harness.load.answer_blocks import GOOD_HTTP
from harness.load.http2_frames import LOST, MESSAGE_HEAD_SIZE

if TYPE_CHECKING:
    from harness.load.http2_frames import Stream

OK, CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, PERMISSION_DENIED = 0, 1, 2, 4, 7
RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, UNAUTHENTICATED = 8, 12, 13, 14, 16
STATUS_MAX = 16
MESSAGE_HEAD = struct.Struct(">BI")
"""A message's prefix: whether it is compressed, and its length."""
FROM_RESET = {7: UNAVAILABLE, 8: CANCELLED, 11: RESOURCE_EXHAUSTED, 12: PERMISSION_DENIED}
"""Status of a stream that was reset, by HTTP/2 error code; others are INTERNAL (gRPC, PROTOCOL-HTTP2, "Errors")."""
FROM_HTTP = {
    400: INTERNAL,
    401: UNAUTHENTICATED,
    403: PERMISSION_DENIED,
    404: UNIMPLEMENTED,
    429: UNAVAILABLE,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
}
"""Status of an answer without grpc-status, by HTTP status; others are UNKNOWN (gRPC, http-grpc-status-mapping)."""


def status_of(stream: Stream, error: int | None) -> int:
    """The status of a call whose stream ended whole (`error` None), with an HTTP/2 error code, or LOST."""
    if error is not None:
        return UNAVAILABLE if error == LOST else FROM_RESET.get(error, INTERNAL)
    answer = stream.answer
    if answer is None:
        return UNKNOWN
    status = answer.grpc_status
    if status is None:
        return FROM_HTTP.get(answer.http_status or 0, UNKNOWN)
    if status == OK:
        return OK if answer.http_status == GOOD_HTTP and _is_one_message(stream, encoded=answer.encoded) else INTERNAL
    return status if status <= STATUS_MAX else UNKNOWN


def _is_one_message(stream: Stream, *, encoded: bool) -> bool:
    """Whether the data are one message, compressed only where the headers say how."""
    if stream.received < MESSAGE_HEAD_SIZE:
        return False
    compressed, length = MESSAGE_HEAD.unpack_from(stream.head)
    return bool(length == stream.received - MESSAGE_HEAD_SIZE and compressed <= encoded)
