"""The audit journal: every answer is on the disk, synced, before it is given.

Rule: group commit, off the event loop. All answers that wait when the writer's thread comes by share one write and one
sync. What can't be written is not answered: the call fails, the log says why, and a new file is tried a moment later,
because a file whose sync has failed can't be trusted again. A process writes only files that it has made itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from reference_service.errors import AuditError, StartError
from reference_service.protocol.audit import SEGMENT_BYTES_MAX, SEGMENT_GLOB, encode, read_segment
from reference_service.telemetry.log import log_event, log_failure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RETRY_S: Final = 0.25
"""After a failure calls are refused at once for this long: each attempt on a full disk costs it a file."""
LOG_INTERVAL_S: Final = 1.0
CLOSE_LIMIT_S: Final = 10.0
_OPEN, _SEALED = 0o640, 0o440
"""Modes of a file that is being written and of one that is whole; only the former are looked at again."""


class _Entry(NamedTuple):
    line: bytes
    written: asyncio.Future[None]


_Queue: TypeAlias = "queue.SimpleQueue[_Entry | None]"


@dataclass(slots=True)
class _Open:
    """The file that is written to, and how much of it is synced."""

    path: Path
    descriptor: int
    synced_bytes: int = 0


class AuditJournal:
    """Appends to files in `directory`, which several processes may share. Use it on one event loop."""

    def __init__(self, directory: Path, segment_bytes_max: int = SEGMENT_BYTES_MAX) -> None:
        self._directory = directory
        self._segment_bytes_max = segment_bytes_max
        self._queue: _Queue = queue.SimpleQueue()
        self._file: _Open | None = None
        self._refused_until_s = float("-inf")
        self._refused_for = ""
        self._tell_from_s = float("-inf")
        self._thread = threading.Thread(target=self._write_forever, name="audit-writer", daemon=True)

    def start(self) -> None:
        """Cut what killed writers left unfinished, make a first file, and begin. Raises StartError."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            for path in sorted(self._directory.glob(SEGMENT_GLOB)):
                cut_torn_tail(path)
            self._file = self._new_file()
        except OSError as error:
            raise StartError(f"the audit journal can't be kept in {self._directory}: {error.strerror}") from error
        self._thread.start()

    async def record(self, request_id: str, model_version: str, scores: Sequence[float]) -> None:
        """Return when the record of this answer will survive anything but the loss of the disk. Raises AuditError."""
        written = asyncio.get_running_loop().create_future()
        self._queue.put(_Entry(encode(request_id, model_version, scores, time.time_ns()), written))
        await written

    def close(self) -> None:
        """Write what waits, and end the thread. Blocks, for CLOSE_LIMIT_S at most."""
        self._queue.put(None)
        self._thread.join(CLOSE_LIMIT_S)

    def _write_forever(self) -> None:
        going = True
        while going:
            entries, going = _taken(self._queue)
            if entries:
                _settle(entries, self._commit(b"".join(entry.line for entry in entries)))
        if self._file is not None:
            self._seal(self._file)

    def _commit(self, lines: bytes) -> AuditError | None:
        """Bring `lines` to the disk; why that failed, if it did."""
        if time.monotonic() < self._refused_until_s:
            return self._refusal()
        try:
            self._append(lines)
        except OSError as error:
            self._abandon(error)
            return self._refusal()
        return None

    def _append(self, lines: bytes) -> None:
        file = self._file or self._new_file()
        self._file = file
        _write(file.descriptor, lines)
        os.fdatasync(file.descriptor)
        if os.fstat(file.descriptor).st_nlink == 0:  # synced, into a file that nobody will ever find again
            raise FileNotFoundError(2, f"{file.path.name} was deleted")
        file.synced_bytes += len(lines)
        if file.synced_bytes >= self._segment_bytes_max:
            self._file = None
            self._seal(file)

    def _new_file(self) -> _Open:
        """A file of the next free number, locked for as long as this process lives, and in the directory for good."""
        numbers = [int(path.stem.removeprefix("audit-")) for path in self._directory.glob(SEGMENT_GLOB)]
        number = max(numbers, default=0) + 1
        while True:
            path = self._directory / f"audit-{number:08d}.log"
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, _OPEN)
            except FileExistsError:  # another process of the zone was quicker
                number += 1
                continue
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # whoever looks for torn tails may have it for a moment
            os.fchmod(descriptor, _OPEN)
            _sync_directory(self._directory)
            return _Open(path, descriptor)

    def _seal(self, file: _Open) -> None:
        os.fchmod(file.descriptor, _SEALED)
        os.close(file.descriptor)

    def _abandon(self, error: OSError) -> None:
        """Leave the file as it was at its last sync, and for good; an empty one is removed."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(file.descriptor, file.synced_bytes)
            with contextlib.suppress(OSError):
                os.close(file.descriptor)
            if not file.synced_bytes:
                with contextlib.suppress(OSError):
                    file.path.unlink()
        now_s = time.monotonic()
        self._refused_until_s, self._refused_for = now_s + RETRY_S, error.strerror or str(error)
        if now_s >= self._tell_from_s:
            self._tell_from_s = now_s + LOG_INTERVAL_S
            log_failure("audit_failed", error, directory=str(self._directory))

    def _refusal(self) -> AuditError:
        text = f"the answer can't be recorded in the audit journal ({self._refused_for}), so it is not given"
        return AuditError(text, retry_after_s=RETRY_S)


def cut_torn_tail(path: Path) -> None:
    """Cut the unfinished record that a killed writer left at the end of `path`; raises OSError.

    A file that is still written to, or sealed, is left alone; so is a damaged one, which somebody should look at.
    """
    if path.stat().st_mode & 0o777 == _SEALED:
        return
    with path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        found = read_segment(file.read())
        if found.damaged:
            log_event("audit_damaged", file=str(path), whole_bytes=found.whole_bytes, size_bytes=found.size_bytes)
            return
        if found.torn:
            file.truncate(found.whole_bytes)
            log_event("audit_tail_cut", file=str(path), cut_bytes=found.size_bytes - found.whole_bytes)
        os.fchmod(file.fileno(), _SEALED)
        os.fsync(file.fileno())


def _taken(waiting: _Queue) -> tuple[list[_Entry], bool]:
    """Everything that waits, once anything does, and whether more may come."""
    item, entries = waiting.get(), []
    while item is not None:
        entries.append(item)
        try:
            item = waiting.get_nowait()
        except queue.Empty:
            return entries, True
    return entries, False


def _settle(entries: Sequence[_Entry], error: AuditError | None) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        entries[0].written.get_loop().call_soon_threadsafe(_tell, entries, error)


def _tell(entries: Sequence[_Entry], error: AuditError | None) -> None:
    for _, written in entries:
        if written.done():  # its caller left meanwhile
            continue
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)


def _write(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
