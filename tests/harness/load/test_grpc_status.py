"""Every way in which a stream can end has the status that gRPC's documents give it, and OK is hard to come by."""

from __future__ import annotations

import struct

import pytest
from grpc import StatusCode

from harness.load.answer_blocks import Answer
from harness.load.grpc_status import status_of
from harness.load.http2_frames import LOST, Stream
from harness.load.sender import NOBODY

NOTHING = (None, None)
MESSAGE = struct.pack(">BI", 0, 5) + b"world"


def ended(
    error: int | None = None,
    *,
    http: int | None = 200,
    grpc: int | None = 0,
    data: bytes = MESSAGE,
    encoded: bool = False,
) -> str:
    stream = Stream(1, b"", b"body")
    stream.head, stream.received = data[:5], len(data)
    stream.answer = Answer(http, grpc, NOBODY, encoded) if (http, grpc) != NOTHING else None
    status = status_of(stream, error)
    return next(code.name for code in StatusCode if code.value[0] == status)


def test_every_status_is_told_as_it_is() -> None:
    assert [ended(grpc=code.value[0]) for code in StatusCode] == [code.name for code in StatusCode]
    assert ended(grpc=17) == ended(grpc=999_999_999) == "UNKNOWN"
    assert ended(grpc=5, data=b"") == "NOT_FOUND"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="none"),
        pytest.param(MESSAGE[:4], id="less than a head"),
        pytest.param(MESSAGE[:-1], id="cut short"),
        pytest.param(MESSAGE + b"x", id="more than one"),
        pytest.param(MESSAGE + MESSAGE, id="two"),
        pytest.param(b"\x01" + MESSAGE[1:], id="compressed though none was offered"),
    ],
)
def test_ok_without_one_whole_message_is_an_error_inside(data: bytes) -> None:
    assert ended(data=data) == "INTERNAL"
    assert ended(data=MESSAGE) == ended(data=MESSAGE[:1] + bytes(4)) == "OK"


def test_a_compressed_message_is_ok_where_the_headers_say_how() -> None:
    assert ended(data=b"\x01" + MESSAGE[1:], encoded=True) == ended(encoded=True) == "OK"
    assert ended(data=b"\x02" + MESSAGE[1:], encoded=True) == "INTERNAL"


def test_ok_belongs_to_http_200() -> None:
    assert ended(http=None) == ended(http=503) == "INTERNAL"


# gRPC: doc/PROTOCOL-HTTP2.md, "Errors"; the codes are those of RFC 9113, section 7.
RESETS = {7: "UNAVAILABLE", 8: "CANCELLED", 11: "RESOURCE_EXHAUSTED", 12: "PERMISSION_DENIED"}


@pytest.mark.parametrize("error", [*range(14), 99, 2**32 - 1])
def test_a_reset_has_the_status_of_its_code_whatever_came_before(error: int) -> None:
    assert ended(error) == ended(error, http=None, grpc=None) == RESETS.get(error, "INTERNAL")


def test_a_lost_connection_is_unavailable_whatever_came_before() -> None:
    assert ended(LOST) == ended(LOST, http=None, grpc=None) == "UNAVAILABLE"


# The mapping of gRPC's doc/http-grpc-status-mapping.md
HTTP = {400: "INTERNAL", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "UNIMPLEMENTED"} | dict.fromkeys(
    (429, 502, 503, 504), "UNAVAILABLE"
)


@pytest.mark.parametrize("http", [*HTTP, 0, 200, 204, 302, 408, 418, 500, 505])
def test_without_a_grpc_status_http_speaks(http: int) -> None:
    assert ended(http=http, grpc=None) == HTTP.get(http, "UNKNOWN")


def test_nothing_at_all_is_unknown() -> None:
    assert ended(http=None, grpc=None) == "UNKNOWN"
