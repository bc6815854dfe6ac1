"""What the headers of answers say, read as seldom as can be: answers hardly differ from each other.

Rule: RFC 7541. The `hpack` library decodes, once each different block; only blocks that differ each time (by the id of
a request in the trailers, say) are taken apart here, as far as it takes to find the few headers that a load wants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hpack import Decoder, Encoder

from harness.load.http2_frames import HEADERS_MAX
from harness.load.sender import NOBODY, AnsweredBy
from reference_service.protocol.headers import MODEL_VERSION, ZONE

if TYPE_CHECKING:
    from collections.abc import Mapping

MEMO_MAX = 4096
GOOD_HTTP = 200
DIGITS_MAX = 9
ENCODINGS = (b"deflate", b"gzip")
"""Compressions that a call offers to take, as gRPC's own clients do; a server may compress without asking for them."""
_ANSWERED_BY = (ZONE.encode(), MODEL_VERSION.encode())
_WANTED = (b":status", b"grpc-status", b"grpc-encoding", *_ANSWERED_BY)
_SPELLED_OUT = frozenset((0x00, 0x10, 0x40))
"""First octets of literals whose name stands in no table (RFC 7541, 6.2)."""
_LONG = 0x7F
"""In a string's first octet: its length takes more of them."""


class Answer(NamedTuple):
    """What the headers of an answer say, as far as a load wants to know; None or "" for what they don't.

    `encoded`: its message may be compressed, by an encoding that was offered.
    """

    http_status: int | None
    grpc_status: int | None
    answered_by: AnsweredBy
    encoded: bool = False

    def followed_by(self, trailers: Answer) -> Answer:
        """This one with the trailers behind it, whose the status is to say; none behind an HTTP error (gRPC's mapping).

        An interim answer (1xx) counts for nothing.
        """
        mine, theirs = self.answered_by, trailers.answered_by
        by = mine if theirs == NOBODY else theirs if mine == NOBODY else _joined(mine, theirs)
        if self.http_status == GOOD_HTTP:
            return Answer(GOOD_HTTP, trailers.grpc_status, by, self.encoded)
        interim = self.http_status is not None and self.http_status < GOOD_HTTP
        return trailers if interim else Answer(self.http_status, None, by)

    def without_trailers(self) -> Answer:
        """This one, when nothing comes behind the data: a status ahead of them is none."""
        return Answer(self.http_status, None, self.answered_by)


def _joined(first: AnsweredBy, last: AnsweredBy) -> AnsweredBy:
    return AnsweredBy(last.zone or first.zone, last.model_version or first.model_version)


class AnswerBlocks:
    """Reads the headers of one connection's answers, given that the peer was granted no dynamic table.

    Equal blocks then mean equal headers, so each is decoded once; a peer that keeps a table all the same is decoded
    block by block. Raises hpack.HPACKError for what is no header block.
    """

    def __init__(self) -> None:
        self._decoder = Decoder(HEADERS_MAX)
        self._memo: dict[bytes, Answer] = {}
        self._strings: dict[bytes, bytes] = {}

    def answer(self, block: bytes) -> Answer:
        """What the headers in `block` say; of several with the same name, the first counts."""
        known = self._memo.get(block)
        if known is not None:
            return known
        table = self._decoder.header_table
        before = (table.maxsize, len(table.dynamic_entries))
        fields = spelled_out(block) if table.maxsize == 0 else None
        found = _answer(self._decoded(block) if fields is None else self._wanted(fields))
        plain = before == (table.maxsize, 0) and not table.dynamic_entries
        if not plain or len(self._memo) >= MEMO_MAX:
            self._memo.clear()  # a block's meaning, or its effect on later ones, depends on those before; or all differ
        if plain:
            self._memo[block] = found
        return found

    def _decoded(self, block: bytes) -> dict[bytes, bytes]:
        headers = [*self._decoder.decode(block, raw=True)]
        return {bytes(name): bytes(value) for name, value in reversed(headers)}

    def _wanted(self, fields: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
        """Of encoded names and values, those that a load wants to know."""
        return {_NAMES[name]: self._string(value) for name, value in reversed(fields) if name in _NAMES}

    def _string(self, encoded: bytes) -> bytes:
        if encoded not in self._strings:
            if len(self._strings) >= MEMO_MAX:
                self._strings.clear()
            ((_, value),) = self._decoder.decode(b"\x00\x01x" + encoded, raw=True)
            self._strings[encoded] = bytes(value)
        return self._strings[encoded]


def spelled_out(block: bytes) -> list[tuple[bytes, bytes]] | None:
    """Names and values, each still encoded, of a block that refers to no table; None for any other block."""
    fields, position, size = [], 0, len(block)
    while position + 1 < size:
        middle = position + 2 + (block[position + 1] & _LONG)
        if block[position] not in _SPELLED_OUT or middle >= size:
            return None
        end = middle + 1 + (block[middle] & _LONG)
        if _LONG in (middle - position - 2, end - middle - 1):
            return None
        fields.append((block[position + 1 : middle], block[middle:end]))
        position = end
    return fields if position == size else None


def _names() -> dict[bytes, bytes]:
    """Each wanted name by the two ways to encode it, with Huffman's code and without."""
    names = {}
    for name in _WANTED:
        coded = Encoder().huffman_coder.encode(name)
        names[bytes([0x80 | len(coded)]) + coded] = names[bytes([len(name)]) + name] = name
    return names


_NAMES = _names()


def _answer(headers: Mapping[bytes, bytes]) -> Answer:
    answered_by = AnsweredBy(*(headers.get(name, b"").decode("utf-8", "replace") for name in _ANSWERED_BY))
    encoded = headers.get(b"grpc-encoding", b"") in ENCODINGS
    return Answer(_number(headers.get(b":status")), _number(headers.get(b"grpc-status")), answered_by, encoded)


def _number(text: bytes | None) -> int | None:
    return int(text) if text is not None and text.isdigit() and len(text) <= DIGITS_MAX else None
