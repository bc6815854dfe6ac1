"""The files of the audit journal: how the record of a given answer is written down, and how it is read again.

Rule: pure, and readable without us: one line a record, `LENGTH CRC JSON`, the first two as eight hex digits each, of
the JSON's bytes. Reading stops at the first line that is not whole; what it has read is what can be vouched for.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

SEGMENT_GLOB: Final = "audit-*.log"
"""The files of a journal within its directory; their numbers ascend, and each is written by one process."""
SEGMENT_BYTES_MAX: Final = 16 << 20
"""Some 120,000 records. A full file is closed for good, so that a backup of it never changes."""
HEAD_BYTES: Final = 18
_head = re.compile(rb"([0-9a-f]{8}) ([0-9a-f]{8}) ").match


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One answer that was given: to which request, by which version, with which scores, when (Unix time)."""

    request_id: str
    model_version: str
    scores: tuple[float, ...]
    time_ns: int


@dataclass(frozen=True, slots=True)
class Segment:
    """What a file of the journal holds: records up to `whole_bytes` of `size_bytes`.

    What follows them was being written when the writer died (a torn tail), unless `damaged`: a whole record lies beyond
    it, so something in between was changed after it was written.
    """

    records: tuple[AuditRecord, ...]
    whole_bytes: int
    size_bytes: int
    damaged: bool

    @property
    def torn(self) -> bool:
        """Whether it ends in a record that was never finished."""
        return self.whole_bytes < self.size_bytes and not self.damaged


def encode(request_id: str, model_version: str, scores: Sequence[float], time_ns: int) -> bytes:
    """The line of one record."""
    document = {"id": request_id, "version": model_version, "scores": list(scores), "time_ns": time_ns}
    payload = json.dumps(document, separators=(",", ":")).encode()
    return b"%08x %08x %s\n" % (len(payload), zlib.crc32(payload), payload)


def read_segment(content: bytes) -> Segment:
    """What the bytes of one file hold."""
    records, place = [], 0
    while (found := _record_at(content, place)) is not None:
        records.append(found[0])
        place = found[1]
    return Segment(tuple(records), place, len(content), damaged=_goes_on(content, place))


def _record_at(content: bytes, place: int) -> tuple[AuditRecord, int] | None:
    """The record that begins at `place` and where it ends, or None where no whole one does."""
    head = _head(content, place)
    if head is None:
        return None
    end = place + HEAD_BYTES + int(head[1], 16)
    payload = content[place + HEAD_BYTES : end]
    if content[end : end + 1] != b"\n" or zlib.crc32(payload) != int(head[2], 16):
        return None
    try:
        document = json.loads(payload)
        fields = (document["id"], document["version"], tuple(document["scores"]), document["time_ns"])
    except (ValueError, KeyError, TypeError):
        return None
    return AuditRecord(*fields), end + 1


def _goes_on(content: bytes, place: int) -> bool:
    """Whether a whole record begins on any line after the one at `place`."""
    while (newline := content.find(b"\n", place)) >= 0:
        place = newline + 1
        if _record_at(content, place) is not None:
            return True
    return False
