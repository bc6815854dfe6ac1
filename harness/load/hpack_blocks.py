"""Header blocks of HTTP/2 for requests that differ in one value, and of answers that hardly differ at all.

Rule: RFC 7541, and no more of it than a load needs. What is sent is encoded here by hand, because it is the same bytes
for every request; what is received is decoded by the `hpack` library, once for each different block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hpack import Decoder

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
_INDEXED, _INCREMENTAL, _LITERAL, _NEVER, _SIZE_UPDATE = 0x80, 0x40, 0x00, 0x10, 0x20


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

    The first block puts the constant headers into the peer's dynamic table, all later ones refer to them; a peer that
    grants too small a table gets literals every time. `secret` headers are never indexed (RFC 7541, 7.1.3).
    """

    def __init__(
        self, constant: Sequence[tuple[str, str]], varying: str, secret: Sequence[tuple[str, str]] = ()
    ) -> None:
        self._constant, self._varying = tuple(constant), varying
        self._secret = b"".join(literal(name, value, _NEVER) for name, value in secret)
        self._size, self._prefix, self._later = DEFAULT_TABLE_SIZE, b"", b""

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
        if size < self.table_bytes:
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
    """What the headers of an answer say, as far as a load wants to know; None or "" for what they don't."""

    http_status: int | None
    grpc_status: int | None
    answered_by: AnsweredBy

    def followed_by(self, trailers: Answer) -> Answer:
        """This one with what the trailers behind it add."""
        mine, theirs = self.answered_by, trailers.answered_by
        by = mine if theirs == NOBODY else theirs if mine == NOBODY else _joined(mine, theirs)
        status = self.grpc_status if trailers.grpc_status is None else trailers.grpc_status
        http_status = self.http_status if trailers.http_status is None else trailers.http_status
        return Answer(http_status, status, by)


def _joined(first: AnsweredBy, last: AnsweredBy) -> AnsweredBy:
    return AnsweredBy(last.zone or first.zone, last.model_version or first.model_version)


class AnswerBlocks:
    """Reads the headers of one connection's answers, given that the peer was granted no dynamic table.

    Equal blocks then mean equal headers, so each is decoded once; a peer that keeps a table all the same is decoded
    block by block. Raises hpack.HPACKError for what is no header block.
    """

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._memo: dict[bytes, Answer] = {}

    def answer(self, block: bytes) -> Answer:
        """What the headers in `block` say."""
        known = self._memo.get(block)
        if known is not None:
            return known
        found = _answer({str(name): str(value) for name, value in self._decoder.decode(block)})
        if self._decoder.header_table.dynamic_entries or len(self._memo) >= MEMO_MAX:
            self._memo.clear()  # a block's meaning depends on those before, or every block is new
        if not self._decoder.header_table.dynamic_entries:
            self._memo[block] = found
        return found


def _answer(headers: Mapping[str, str]) -> Answer:
    answered_by = AnsweredBy(headers.get(ZONE, ""), headers.get(MODEL_VERSION, ""))
    return Answer(_number(headers.get(":status")), _number(headers.get("grpc-status")), answered_by)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
