"""What is encoded here by hand says the same to a decoder that is not ours."""

from __future__ import annotations

import pytest
from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st

from harness.load.hpack_blocks import DEFAULT_TABLE_SIZE, RequestBlocks, integer

CONSTANT = ((":method", "POST"), (":path", "/a.B/C"), ("te", "trailers"), ("x-tenant", "blue"))
SECRET = (("authorization", "Bearer s3cret"),)
VARYING = "x-request-id"
SIZE = RequestBlocks(CONSTANT, VARYING).table_bytes
IDS = [f"{number:016x}".encode() for number in range(6)]


def decoder(granted: int = DEFAULT_TABLE_SIZE) -> Decoder:
    made = Decoder()
    made.max_allowed_table_size = granted
    return made


def read(reader: Decoder, block: bytes) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in reader.decode(block)]


def wanted(request_id: bytes) -> list[tuple[str, str]]:
    return sorted([*CONSTANT, *SECRET, (VARYING, request_id.decode())])


@given(st.integers(0, 2**40), st.integers(1, 8))
def test_integers_are_those_of_the_library(value: int, prefix_bits: int) -> None:
    from hpack.hpack import encode_integer

    assert integer(value, prefix_bits, 0) == bytes(encode_integer(value, prefix_bits))


@pytest.mark.parametrize("granted", [None, 0, 1, SIZE - 1, SIZE, SIZE + 1, 4096, 65_536])
def test_every_block_says_its_headers_whatever_table_the_peer_grants(granted: int | None) -> None:
    blocks, reader = RequestBlocks(CONSTANT, VARYING, SECRET), decoder()
    if granted is not None:
        blocks.grant(granted)
        reader = decoder(granted)
    for request_id in IDS:
        assert sorted(read(reader, blocks.block(request_id))) == wanted(request_id)


@given(st.lists(st.lists(st.integers(0, 5000), max_size=3), min_size=1, max_size=6))
def test_grants_may_change_between_any_two_blocks(grants: list[list[int]]) -> None:
    blocks, reader = RequestBlocks(CONSTANT, VARYING, SECRET), decoder()
    for request_id, changes in zip(IDS, grants, strict=False):
        for granted in changes:
            blocks.grant(granted)
        # A peer may insist on the smallest of the sizes that it granted since the last block (RFC 7541, 4.2).
        reader.max_allowed_table_size = min([*changes, reader.max_allowed_table_size])
        assert sorted(read(reader, blocks.block(request_id))) == wanted(request_id)
        reader.max_allowed_table_size = max(changes[-1] if changes else 0, reader.max_allowed_table_size)


def test_later_blocks_are_references_and_short() -> None:
    blocks = RequestBlocks(CONSTANT, VARYING)
    first, second = blocks.block(IDS[0]), blocks.block(IDS[1])
    assert len(second) == len(CONSTANT) + 2 + 1 + 16 < len(first)


def test_headers_too_large_for_the_default_table_are_never_referred_to() -> None:
    constant = (*CONSTANT, ("x-large", "v" * 5000))
    blocks, reader = RequestBlocks(constant, VARYING), decoder()
    for request_id in IDS:
        decoded = read(reader, blocks.block(request_id))
        assert sorted(decoded) == sorted([*constant, (VARYING, request_id.decode())])


@pytest.mark.parametrize("granted", [0, 4096])
def test_secrets_are_never_indexed_in_any_block(granted: int) -> None:
    blocks, reader = RequestBlocks(CONSTANT, VARYING, SECRET), decoder()
    blocks.grant(granted)
    for request_id in IDS:
        secrets = [header for header in reader.decode(blocks.block(request_id)) if header[0] == "authorization"]
        assert [header.indexable for header in secrets] == [False]
        assert all(b"s3cret" not in value for _, value in reader.header_table.dynamic_entries)
