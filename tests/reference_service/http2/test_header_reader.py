"""Blocks that were seen before say what they said, whatever became of the table in between."""

from __future__ import annotations

import hpack
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_service.http2.headers import REMEMBERED_BYTES_MAX, HeaderReader, integer

BASE = [(":method", "POST"), (":scheme", "http"), (":path", "/a/b"), ("content-type", "application/grpc")]
EXTRAS = st.lists(st.tuples(st.sampled_from(["x-a", "x-b", "x-c"]), st.sampled_from(["1", "2", "y" * 300])), max_size=3)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(EXTRAS, st.sampled_from([None, 0, 100, 4096])), max_size=30))
def test_each_block_says_what_its_sender_meant(sent: list[tuple[list[tuple[str, str]], int | None]]) -> None:
    encoder, reader = hpack.Encoder(), HeaderReader(8192)
    for extras, size in sent:
        if size is not None:
            encoder.header_table_size = size
        assert reader.read(encoder.encode([*BASE, *extras])).metadata == tuple(extras)


def test_what_is_remembered_of_one_connection_is_bounded() -> None:
    reader = HeaderReader(8192)
    for number in range(2000):
        value = f"{number}".rjust(2000, "x").encode()
        pseudo = b"\x83\x86\x04\x04/a/b"  # POST, http, /a/b
        reader.read(pseudo + literal(b"content-type", b"application/grpc") + literal(b"x", value))
        remembered = sum(len(block) + len(str(head.metadata)) for block, head in reader._known.items())
        assert remembered <= REMEMBERED_BYTES_MAX


def literal(name: bytes, value: bytes) -> bytes:
    """A header spelled out and never indexed (RFC 7541, 6.2.2)."""
    return b"\0" + integer(len(name)) + name + integer(len(value)) + value


def test_binary_metadata_may_come_joined_and_without_padding() -> None:
    encoder, reader = hpack.Encoder(), HeaderReader(8192)
    head = reader.read(encoder.encode([*BASE, ("x-bin", "YQ,Yg==,")]))
    assert head.metadata == (("x-bin", b"a"), ("x-bin", b"b"), ("x-bin", b""))
