"""What is encoded here by hand says the same to a decoder that is not ours; what is remembered is decoded right."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder, HPACKError
from hypothesis import given
from hypothesis import strategies as st

from harness.load.hpack_blocks import DEFAULT_TABLE_SIZE, MEMO_MAX, Answer, AnswerBlocks, RequestBlocks, integer
from harness.load.sender import NOBODY, AnsweredBy

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


def encoded(*headers: tuple[str, str], table: bool = False) -> bytes:
    return Encoder().encode([(name, value, not table) for name, value in headers])


def test_an_answer_says_status_and_who_answered() -> None:
    blocks = AnswerBlocks()
    head = encoded((":status", "200"), ("content-type", "application/grpc"))
    tail = encoded(("grpc-status", "14"), ("x-zone", "zone-a"), ("x-model-version", "7"))
    for _ in range(2):  # decoded, then remembered
        answer = blocks.answer(head).followed_by(blocks.answer(tail))
        assert answer == Answer(200, 14, AnsweredBy("zone-a", "7"))
    assert blocks.answer(b"") == Answer(None, None, NOBODY)


@pytest.mark.parametrize("text", ["", "x", "-1", "+1", " 0", "1.0", "9" * 5000, "\u0663"])
def test_a_status_that_is_no_number_is_none(text: str) -> None:
    assert AnswerBlocks().answer(encoded(("grpc-status", text))).grpc_status is None


def test_metadata_that_is_not_text_is_no_error() -> None:
    block = encoded(("grpc-status", "0")) + b"\x00\x06x-zone\x01\xe9" + b"\x00\x01y\x02\xff\xfe"
    assert AnswerBlocks().answer(block) == Answer(None, 0, AnsweredBy("\ufffd", ""))


def test_the_first_of_equal_names_counts() -> None:
    block = encoded(("x-zone", "a"), ("x-zone", "b"), ("grpc-status", "0"))
    assert AnswerBlocks().answer(block).answered_by.zone == "a"


def test_a_peer_that_keeps_a_table_is_read_all_the_same() -> None:
    blocks, encoder = AnswerBlocks(), Encoder()
    for zone in ["a", "b", "a", "c", "a", "a"]:
        block = encoder.encode([(":status", "200"), ("grpc-status", "0"), ("x-zone", zone)])
        assert blocks.answer(block) == Answer(200, 0, AnsweredBy(zone, ""))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.none() | st.integers(0, 200)), max_size=12))
def test_remembering_changes_nothing_whatever_the_peer_does_with_its_table(
    answers: list[tuple[str, bool, int | None]],
) -> None:
    blocks, encoder = AnswerBlocks(), Encoder()
    for zone, indexed, table_size in answers:
        if table_size is not None:
            encoder.header_table_size = table_size
        block = encoder.encode([("grpc-status", "5", not indexed), ("x-zone", zone * 30, not indexed)])
        assert blocks.answer(block) == Answer(None, 5, AnsweredBy(zone * 30, ""))


def test_a_size_change_is_not_forgotten_when_its_block_comes_again() -> None:
    """Blocks that change the table's size must be read each time: here the third would be, by memory, of no effect."""
    blocks, entry = AnswerBlocks(), b"\x40\x06x-zone\x01z"
    off, on = b"\x20" + encoded(("grpc-status", "1")), b"\x3f\x61" + encoded(("grpc-status", "2"))
    for block in (off, on, off, entry, on, entry):
        blocks.answer(block)
    assert blocks.answer(b"\xbe").answered_by.zone == "z"


def test_what_is_remembered_is_bounded() -> None:
    blocks = AnswerBlocks()
    for number in range(MEMO_MAX + 10):
        assert blocks.answer(encoded(("grpc-status", str(number)))).grpc_status == number
    assert len(blocks._memo) <= MEMO_MAX


@pytest.mark.parametrize(
    "block", [b"\xff\xff\xff\xff\xff\xff", b"\xbe", b"\x80", b"\x00\x05ab", b"\x40\x01a\x82\xff\xff"]
)
def test_what_is_no_header_block_is_an_error(block: bytes) -> None:
    with pytest.raises(HPACKError):
        AnswerBlocks().answer(block)


def test_an_encoding_counts_if_it_was_offered_and_stays_with_the_answer() -> None:
    read = [
        AnswerBlocks().answer(encoded(("grpc-encoding", name))).encoded
        for name in ("gzip", "deflate", "identity", "br")
    ]
    assert read == [True, True, False, False]
    assert Answer(200, None, NOBODY, encoded=True).followed_by(Answer(None, 0, NOBODY)).encoded


def test_the_status_is_for_the_trailers_to_say() -> None:
    first = Answer(200, 0, AnsweredBy("a", ""))
    assert first.followed_by(Answer(None, None, AnsweredBy("", "2"))) == Answer(200, None, AnsweredBy("a", "2"))
    assert first.without_trailers() == Answer(200, None, AnsweredBy("a", ""))
    assert Answer(103, None, AnsweredBy("early", "")).followed_by(first) == first
    assert Answer(503, None, NOBODY).followed_by(Answer(None, 0, NOBODY)) == Answer(503, None, NOBODY)
