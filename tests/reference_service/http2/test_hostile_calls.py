"""Calls that break the rules of HTTP/2 or gRPC: each ends alone, by the protocol's code, and its connection goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hpack
import pytest

from reference_service.http2 import frames as wire
from tests.reference_service.http2.by_hand import (
    CLOSE,
    GRPC,
    MESSAGE,
    OPEN,
    block,
    of,
    opened,
    said_to,
    status_of,
    whole,
)
from tests.reference_service.http2.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with serving() as running:
        yield running


MALFORMED = {
    "no path": GRPC[:2] + GRPC[3:],
    "a pseudo-header behind others": [*GRPC, (":authority", "x")],
    "a pseudo-header twice": [GRPC[0], *GRPC],
    "an upper-case name": [*GRPC, ("X-Api-Key", "x")],
    "a header of connections": [*GRPC, ("connection", "close")],
    "a line break in a value": [*GRPC, ("x-id", "a\r\nb: c")],
    "no method": GRPC[1:],
    "no scheme": [GRPC[0], *GRPC[2:]],
    "another te": [*GRPC, ("te", "gzip")],
    "a space in a name": [*GRPC, ("x a", "b")],
    "a nought in a value": [*GRPC, ("x-id", "a\0b")],
}
ODD_METADATA = {
    "binary metadata that is none": b"\0\5x-bin\1*",
    "letters that are not ASCII": b"\0\3x-a\2\xc3\xbc",
    "bytes that are no text": b"\0\3x-a\2\xff\xfe",
    "a name that gRPC does not know": b"\0\3x!a\1b",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_headers_that_break_the_rules_end_their_call_alone(server: Serving, name: str) -> None:
    said = said_to(server, opened(1, CLOSE, *MALFORMED[name]) + whole(3))
    assert (wire.RST_STREAM, 0, 1, wire.U32.pack(wire.PROTOCOL_ERROR)) in said
    assert (wire.DATA, 0, 3, MESSAGE) in said


@pytest.mark.parametrize("name", ODD_METADATA)
def test_metadata_that_is_https_and_not_grpcs_is_refused_with_words(server: Serving, name: str) -> None:
    """An edge passes them on, on a connection that it shares among its clients: the others' calls must go on."""
    sent = wire.frame(wire.HEADERS, CLOSE, 1, block() + ODD_METADATA[name]) + whole(3)
    said = said_to(server, sent)
    assert status_of(said) == "3"
    assert (wire.DATA, 0, 3, MESSAGE) in said


@pytest.mark.parametrize("crumb", [b"", b"x"])
def test_a_message_in_crumbs_ends_its_call_alone(server: Serving, crumb: bytes) -> None:
    crumbs = wire.frame(wire.DATA, 0, 1, b"\0\0\2\0\0") + wire.frame(wire.DATA, 0, 1, crumb) * 6000
    said = said_to(server, opened(1) + crumbs + whole(3))
    assert status_of(said) == "8"
    assert (wire.DATA, 0, 3, MESSAGE) in said


@pytest.mark.parametrize(
    ("field", "want"),
    [(("content-type", "text/html"), "415"), ((":method", "GET"), "405")],
)
def test_what_is_no_grpc_gets_an_answer_of_http(server: Serving, field: tuple[str, str], want: str) -> None:
    fields = [(name, field[1] if name == field[0] else value) for name, value in GRPC]
    answers = [item for item in said_to(server, opened(1, CLOSE, *fields)) if item[0] == wire.HEADERS]
    assert [dict(hpack.Decoder().decode(payload))[":status"] for _, _, _, payload in answers] == [want]


BODIES = {
    # statuscodes.md: not exactly one request is UNIMPLEMENTED, and what can't be read or unpacked INTERNAL.
    "none": (b"", "12"),
    "two": (MESSAGE * 2, "12"),
    "more behind it": (b"\0\0\0\0\1hi", "12"),
    "half a prefix": (b"\0", "13"),
    "cut short": (b"\0\0\0\0\3hi", "13"),
    "an unknown flag": (b"\2\0\0\0\2hi", "13"),
    # compression.md: a compressed message without grpc-encoding is INTERNAL.
    "compressed by nothing": (b"\1\0\0\0\2hi", "13"),
    "said to have 4 GiB": (b"\0\xff\xff\xff\xff", "8"),
}


@pytest.mark.parametrize("name", BODIES)
def test_data_that_is_not_one_message_is_refused_by_the_protocols_code(server: Serving, name: str) -> None:
    data, status = BODIES[name]
    said = said_to(server, opened(1) + wire.frame(wire.DATA, wire.END_STREAM, 1, data))
    assert status_of(said) == status


def test_what_its_prefix_says_is_too_large_or_none_is_refused_before_it_has_come(server: Serving) -> None:
    for data, status in ((b"\0\x10\0\0\0x", "8"), (b"\7\0\0\0\1", "13"), (MESSAGE + b"x", "12")):
        said = said_to(server, opened(1) + wire.frame(wire.DATA, 0, 1, data))
        assert status_of(said) == status
        assert said[-1] == (wire.RST_STREAM, 0, 1, wire.U32.pack(wire.NO_ERROR))


def test_a_stream_of_messages_that_is_cut_short_is_no_stream_that_ended(server: Serving) -> None:
    said = said_to(server, opened(1, OPEN, *of("upper")) + wire.frame(wire.DATA, wire.END_STREAM, 1, MESSAGE + b"\0\0"))
    assert status_of(said) == "13"


def test_a_timeout_that_is_none_ends_its_call_alone(server: Serving) -> None:
    said = said_to(server, opened(1, CLOSE, *GRPC, ("grpc-timeout", "soon")) + whole(3))
    assert status_of(said) == "13"
    assert (wire.DATA, 0, 3, MESSAGE) in said


def test_a_call_with_more_metadata_than_allowed_is_refused_alone(server: Serving) -> None:
    said = said_to(server, opened(1, OPEN, *GRPC, *[("x", "y" * 100)] * 90) + whole(3))
    headers = [dict(hpack.Decoder().decode(payload)) for kind, _, stream, payload in said if (kind, stream) == (1, 1)]
    assert [one["grpc-status"] for one in headers] == ["8"]
    assert (wire.DATA, 0, 3, MESSAGE) in said


def test_a_compression_that_is_not_offered_is_refused_with_those_that_are(server: Serving) -> None:
    said = said_to(server, opened(1, OPEN, *GRPC, ("grpc-encoding", "snappy")))
    (headers,) = [dict(hpack.Decoder().decode(payload)) for kind, _, _, payload in said if kind == wire.HEADERS]
    assert (headers["grpc-status"], headers["grpc-accept-encoding"]) == ("12", "identity,gzip,deflate")
