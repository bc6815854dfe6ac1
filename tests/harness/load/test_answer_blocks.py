"""What answers say is read right, decoded, remembered or taken apart, whatever the peer does with its table."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder, HPACKError
from hypothesis import given
from hypothesis import strategies as st

from harness.load.answer_blocks import MEMO_MAX, Answer, AnswerBlocks, spelled_out
from harness.load.sender import NOBODY, AnsweredBy

NO_TABLE = b"\x20"
"""Sets the size of the dynamic table to 0."""


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
    with pytest.raises(HPACKError):
        blocks.answer(b"\xbf")  # there is one entry, not two


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


def test_what_servers_say_each_time_though_nothing_changes_is_remembered() -> None:
    """As grpcio does: every block begins by setting the table's size to 0, where it is already."""
    blocks, block = AnswerBlocks(), NO_TABLE + b"\x88@\x0ccontent-type\x10application/grpc"
    for _ in range(3):
        assert blocks.answer(block) == Answer(200, None, NOBODY)
    assert list(blocks._memo) == [block]


TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=140)
NAMES = st.sampled_from(["grpc-status", "x-zone", "x-model-version", "grpc-encoding", "x-request-id", "x" * 130]) | TEXT


@given(headers=st.lists(st.tuples(NAMES, TEXT, st.booleans()), max_size=6), huffman=st.booleans())
def test_a_block_that_is_taken_apart_says_what_it_says_decoded(
    *, headers: list[tuple[str, str, bool]], huffman: bool
) -> None:
    taken_apart, decoded, encoder = AnswerBlocks(), AnswerBlocks(), Encoder()
    encoder.header_table_size = 0
    for blocks in (taken_apart, decoded):
        blocks.answer(NO_TABLE)
    block = encoder.encode(headers, huffman=huffman).removeprefix(NO_TABLE)
    expected = decoded.answer(NO_TABLE + block)  # a change of size, even to the same, is never taken apart
    assert taken_apart.answer(block) == expected


@given(st.binary(max_size=60), st.sampled_from([b"\x00", b"\x10", b"\x40"]))
def test_whatever_is_taken_apart_the_library_reads_in_the_same_pieces(octets: bytes, first: bytes) -> None:
    fields = spelled_out(first + octets)
    if fields is not None:
        decoder = Decoder()
        again = [decoder.decode(b"\x00" + name + value, raw=True) for name, value in fields if is_text(name, value)]
        if len(again) == len(fields):
            assert [header for (header,) in again] == [*decoder.decode(first + octets, raw=True)]


def is_text(*strings: bytes) -> bool:
    try:
        for string in strings:
            Decoder().decode(b"\x00" + string + b"\x00", raw=True)
    except HPACKError:
        return False
    return True


def test_values_that_differ_each_time_are_not_kept_for_ever() -> None:
    blocks = AnswerBlocks()
    blocks.answer(NO_TABLE)
    for number in range(MEMO_MAX + 10):
        assert blocks.answer(encoded(("x-zone", str(number)))).answered_by.zone == str(number)
    assert len(blocks._strings) <= MEMO_MAX
