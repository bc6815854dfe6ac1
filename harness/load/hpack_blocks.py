"""Header blocks of HTTP/2 for requests that differ in one value, and of answers that hardly differ at all.

Rule: RFC 7541, and no more of it than a load needs. What is sent is encoded here by hand, because it is the same bytes
for every request; what is received is decoded by the `hpack` library, once for each different block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hpack import Decoder

from harness.load.http2_frames import HEADERS_MAX
from harness.load.sender import NOBODY, AnsweredBy
from reference_service.protocol.headers import MODEL_VERSION, ZONE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_TABLE_SIZE = 4096
"""What every peer grants until it says otherwise (RFC 9113, 6.5.2); more is never used here."""
STATIC_ENTRIES = 61
ENTRY_OVERHEAD = 32
"""What an entry weighs in the dynamic table beside its name and value (RFC 7541, 4.1)."""
MEMO_MAX = 4096
GOOD_HTTP = 200
DIGITS_MAX = 9
ENCODINGS = (b"deflate", b"gzip")
"""Compressions that a call offers to take, as gRPC's own clients do; a server may compress without asking for them."""
_ANSWERED_BY = (ZONE.encode(), MODEL_VERSION.encode())
_INDEXED, _INCREMENTAL, _LITERAL, _NEVER, _SIZE_UPDATE = 0x80, 0x40, 0x00, 0x10, 0x20
_SIZE_UPDATES = frozenset(bytes([_SIZE_UPDATE | low]) for low in range(_SIZE_UPDATE))


def integer(value: int, prefix_bits: int, flags: int) -> bytes:
    """`value` with an N-bit prefix, the bits before it being `flags` (RFC 7541, 5.1)."""
    full = (1 << prefix_bits) - 1
    if value < full:
        return bytes([flags | value])
    octets, value = [flags | full], value - full
    while value >= 128:  # noqa: PLR2004 - seven bits an octet
        octets.append(0x80 | (value & 0x7F))
        value >>= 7
    return bytes([*octets, value])


def literal(name: str, value: str, kind: int = _LITERAL) -> bytes:
    """A header with its name and value spelled out, without Huffman coding (RFC 7541, 5.2 and 6.2)."""
    strings = (name.encode(), value.encode())
    return bytes([kind]) + b"".join(integer(len(string), 7, 0) + string for string in strings)


class RequestBlocks:
    """Encodes the headers of one connection's requests: constant ones, and `varying`, which is different each time.

    The first block puts the constant headers into the peer's dynamic table, all later ones refer to them; where they
    are too much for the table granted, all are literals. `secret` headers are never indexed (RFC 7541, 7.1.3).
    """

    def __init__(
        self, constant: Sequence[tuple[str, str]], varying: str, secret: Sequence[tuple[str, str]] = ()
    ) -> None:
        self._constant, self._varying = tuple(constant), varying
        self._secret = b"".join(literal(name, value, _NEVER) for name, value in secret)
        self._size, self._prefix, self._later = DEFAULT_TABLE_SIZE, b"", b""
        self._spell_out_unless_it_fits()

    @property
    def table_bytes(self) -> int:
        """The size of dynamic table that references need; values of `varying` have 16 characters."""
        entries = [*self._constant, (self._varying, "0" * 16)]
        return sum(len(name.encode()) + len(value.encode()) + ENTRY_OVERHEAD for name, value in entries)

    def grant(self, size: int) -> None:
        """The peer's dynamic table may have `size` bytes from now on; a smaller one must be acknowledged in band."""
        if size < self._size:
            self._size = size
            self._prefix = integer(size, 5, _SIZE_UPDATE)
            self._spell_out_unless_it_fits()

    def _spell_out_unless_it_fits(self) -> None:
        if self._size < self.table_bytes:
            literals = b"".join(literal(name, value) for name, value in self._constant)
            name = self._varying.encode()
            self._later = literals + self._secret + bytes([_LITERAL]) + integer(len(name), 7, 0) + name

    def block(self, value: bytes) -> bytes:
        """The header block of the next request, whose varying header is `value`: 16 ASCII characters."""
        prefix, self._prefix = self._prefix, b""
        if self._later:
            return prefix + self._later + b"\x10" + value
        newest = STATIC_ENTRIES + 1  # the varying header's name, once the first block was read
        references = (integer(newest + place, 7, _INDEXED) for place in range(len(self._constant), 0, -1))
        self._later = b"".join(references) + self._secret + integer(newest, 4, _LITERAL)
        kept = b"".join(literal(name, content, _INCREMENTAL) for name, content in self._constant)
        return prefix + kept + self._secret + literal(self._varying, value.decode(), _INCREMENTAL)


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

    def answer(self, block: bytes) -> Answer:
        """What the headers in `block` say; of several with the same name, the first counts."""
        known = self._memo.get(block)
        if known is not None:
            return known
        table = self._decoder.header_table
        keeps_table = bool(table.dynamic_entries) or block[:1] in _SIZE_UPDATES
        found = _answer({bytes(name): value for name, value in reversed([*self._decoder.decode(block, raw=True)])})
        keeps_table = keeps_table or bool(table.dynamic_entries)
        if keeps_table or len(self._memo) >= MEMO_MAX:
            self._memo.clear()  # a block's meaning, or its effect on later ones, depends on those before; or all differ
        if not keeps_table:
            self._memo[block] = found
        return found


def _answer(headers: Mapping[bytes, bytes]) -> Answer:
    answered_by = AnsweredBy(*(headers.get(name, b"").decode("utf-8", "replace") for name in _ANSWERED_BY))
    encoded = headers.get(b"grpc-encoding", b"") in ENCODINGS
    return Answer(_number(headers.get(b":status")), _number(headers.get(b"grpc-status")), answered_by, encoded)


def _number(text: bytes | None) -> int | None:
    return int(text) if text is not None and text.isdigit() and len(text) <= DIGITS_MAX else None
