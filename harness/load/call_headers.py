"""The headers of a load's calls, in the order that HTTP/2 and gRPC want, checked before anything is sent.

Rule: pure. What a peer would refuse, every time and without saying why, is refused here with what to mend.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from harness.load.answer_blocks import ENCODINGS
from harness.load.http2_frames import FRAME_MAX
from harness.load.sender import SenderError
from reference_service.protocol.headers import REQUEST_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    Pairs = Sequence[tuple[str, str]]

UNIT_MAX = 99_999_999
"""The largest number that grpc-timeout may hold in any unit (gRPC, PROTOCOL-HTTP2)."""
ROOM = FRAME_MAX - 256
"""Headers must fit one frame, with the request's id and what encoding adds."""
_is_name = re.compile(r"[0-9a-z_.-]+").fullmatch
_is_path = re.compile(r"/[\x21-\x7e]+").fullmatch
_is_value = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?").fullmatch
_OURS = frozenset({"te", "content-type", "user-agent", "host", "connection", "transfer-encoding", REQUEST_ID})


def call_headers(method: str, authority: str, timeout_s: float, *, secure: bool) -> Pairs:
    """The headers that gRPC itself wants. Raises SenderError when `method` is no path."""
    if not _is_path(method):
        raise SenderError(f'the method must look like "/package.Service/Method", not {method!r}')
    return (
        (":method", "POST"),
        (":scheme", "https" if secure else "http"),
        (":path", method),
        (":authority", authority),
        ("te", "trailers"),
        ("grpc-timeout", grpc_timeout(timeout_s)),
        ("content-type", "application/grpc"),
        ("grpc-accept-encoding", ",".join(["identity", *(encoding.decode() for encoding in ENCODINGS)])),
        ("user-agent", "gonogo"),
    )


def grpc_timeout(timeout_s: float) -> str:
    """`timeout_s` as a header, rounded up so that the peer never gives a call up before this side does."""
    timeout_ms = math.ceil(timeout_s * 1000)
    return f"{timeout_ms}m" if timeout_ms <= UNIT_MAX else f"{min(math.ceil(timeout_s), UNIT_MAX)}S"


def check_metadata(pairs: Pairs) -> None:
    """Raise SenderError, naming the header but never its value, unless `pairs` may travel as metadata."""
    for name, value in pairs:
        if not _is_name(name):
            raise SenderError(f"metadata {name!r}: a name has lower-case letters, digits, '_', '-' and '.' only")
        if name in _OURS or name.startswith("grpc-"):
            raise SenderError(f"metadata {name!r}: this header is gonogo's own; leave it out")
        if not _is_value(value):
            raise SenderError(f"metadata {name!r}: its value must be printable ASCII, not empty, without outer spaces")
    size = sum(len(name) + len(value) + 8 for name, value in pairs)
    if size > ROOM:
        raise SenderError(f"metadata: {size} bytes are more than the {ROOM} that fit a call's headers")
