"""Headers that a peer would refuse are refused before anything is sent, without telling a secret."""

from __future__ import annotations

import re

import pytest

from harness.load.call_headers import ROOM, call_headers, check_metadata, grpc_timeout
from harness.load.hpack_blocks import RequestBlocks
from harness.load.http2_frames import FRAME_MAX
from harness.load.sender import SenderError


@pytest.mark.parametrize(
    ("timeout_s", "header"),
    [
        (2.0, "2000m"),
        (0.0001, "1m"),
        (0.0015, "2m"),
        (99_999.999, "99999999m"),
        (100_000.5, "100001S"),
        (1e12, "99999999S"),
    ],
)
def test_a_timeout_is_told_in_at_most_eight_digits_and_never_too_short(timeout_s: float, header: str) -> None:
    assert grpc_timeout(timeout_s) == header
    assert re.fullmatch(r"[0-9]{1,8}[HMSmun]", header)


def test_headers_come_in_the_order_that_http_2_wants() -> None:
    headers = call_headers("/a.B/C", "host:1", 1.0, secure=True)
    assert headers[:5] == (
        (":method", "POST"),
        (":scheme", "https"),
        (":path", "/a.B/C"),
        (":authority", "host:1"),
        ("te", "trailers"),
    )
    assert dict(headers)["content-type"] == "application/grpc"


@pytest.mark.parametrize("method", ["a.B/C", "", "/a b", "/a\n", "/ü"])
def test_a_method_that_is_no_path_is_refused(method: str) -> None:
    with pytest.raises(SenderError, match="method"):
        call_headers(method, "host:1", 1.0, secure=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Tenant", "s3cret"),
        ("", "s3cret"),
        ("x tenant", "s3cret"),
        (":path", "s3cret"),
        ("te", "s3cret"),
        ("grpc-timeout", "s3cret"),
        ("x-request-id", "s3cret"),
        ("x-tenant", "s3cret\n"),
        ("x-tenant", " s3cret"),
        ("x-tenant", "s3crét"),
        ("x-tenant", ""),
        ("x-tenant", "s3cret" * 10_000),
    ],
)
def test_metadata_that_cannot_travel_is_refused_without_its_value(name: str, value: str) -> None:
    with pytest.raises(SenderError, match="metadata") as refusal:
        check_metadata([("x-good", "1"), (name, value)])
    assert "s3cr" not in str(refusal.value)


def test_the_largest_metadata_that_is_let_through_fits_one_frame() -> None:
    pairs = [("n", "v")] * 100 + [("x-large", "v" * (ROOM - 100 * 10 - 15))]
    check_metadata(pairs)
    headers = call_headers("/a.B/C", "host:1", 1.0, secure=False)
    blocks = RequestBlocks((*headers, *pairs), "x-request-id")
    blocks.grant(0)
    assert all(len(blocks.block(b"0" * 16)) <= FRAME_MAX for _ in range(2))
