"""The audit journal: what was acknowledged is on the disk whatever ended the writer; what can't be, is refused."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import signal
import threading
import zlib
from typing import TYPE_CHECKING

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_service.audit import AuditJournal, cut_torn_tail
from reference_service.errors import AuditError, StartError
from reference_service.protocol.audit import SEGMENT_GLOB, AuditRecord, encode, read_segment
from reference_service.protocol.messages import MODEL_INFER, infer_request
from reference_service.settings import ServiceSettings, with_audit
from tests.reference_service.running import in_own_process, wait_for
from tests.reference_service.tiny_registry import MODEL, tiny_rows, write_tiny_version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ids = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
scores = st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=3).map(tuple)
records = st.lists(st.builds(AuditRecord, ids, ids, scores, st.integers(0, 2**63)), max_size=6)


def written(content: Sequence[AuditRecord]) -> bytes:
    return b"".join(encode(item.request_id, item.model_version, item.scores, item.time_ns) for item in content)


def kept(directory: Path) -> list[str]:
    """Request ids of every record in the journal, in order."""
    segments = [read_segment(path.read_bytes()) for path in sorted(directory.glob(SEGMENT_GLOB))]
    assert not any(segment.damaged for segment in segments)
    return [record.request_id for segment in segments for record in segment.records]


@given(records)
def test_what_is_written_is_read_back(content: list[AuditRecord]) -> None:
    found = read_segment(written(content))
    assert found.records == tuple(content)
    assert not found.torn
    assert not found.damaged


@given(records.filter(bool), st.data())
def test_cut_anywhere_the_whole_records_stay_and_the_rest_is_known_as_torn(
    content: list[AuditRecord], data: st.DataObject
) -> None:
    whole = written(content)
    cut = data.draw(st.integers(0, len(whole)))
    found = read_segment(whole[:cut])
    ends = [len(written(content[: number + 1])) for number in range(len(content))]
    complete = sum(end <= cut for end in ends)
    assert found.records == tuple(content[:complete])
    assert found.torn == (cut not in [0, *ends])
    assert not found.damaged


@given(records.filter(bool), st.data())
def test_no_flipped_bit_is_read_as_a_record(content: list[AuditRecord], data: st.DataObject) -> None:
    whole = bytearray(written(content))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    found = read_segment(bytes(whole))
    hit = sum(len(written(content[: number + 1])) <= place for number in range(len(content)))
    assert found.records == tuple(content[:hit])
    assert found.whole_bytes < found.size_bytes
    assert found.damaged or hit >= len(content) - 2, (
        "a whole record beyond the flipped bit shows that it is no torn tail"
    )


@given(st.binary(max_size=200))
def test_bytes_that_are_no_journal_hold_no_record(content: bytes) -> None:
    assert read_segment(content).records == ()


def test_a_record_is_a_line_that_other_tools_read() -> None:
    line = encode("00ff", "1", [0.25], 5).decode()
    length, checksum, payload = line.rstrip("\n").split(" ", 2)
    assert json.loads(payload) == {"id": "00ff", "version": "1", "scores": [0.25], "time_ns": 5}
    assert (int(length, 16), int(checksum, 16)) == (len(payload), zlib.crc32(payload.encode()))


async def _many(journal: AuditJournal, prefix: str, count: int) -> None:
    await asyncio.gather(*(journal.record(f"{prefix}-{number}", "1", [0.5]) for number in range(count)))


def test_concurrent_answers_share_syncs_and_all_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: (syncs.append(descriptor), real(descriptor)))
    journal = AuditJournal(tmp_path / "audit")
    journal.start()
    asyncio.run(_many(journal, "r", 2000))
    assert sorted(kept(tmp_path / "audit")) == sorted(f"r-{number}" for number in range(2000))
    assert 0 < len(syncs) < 1000
    journal.close()


def test_an_answer_waits_for_the_sync_of_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, released = threading.Event(), threading.Event()
    real = os.fdatasync

    def slow(descriptor: int) -> None:
        entered.set()
        assert released.wait(10)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)
    journal = AuditJournal(tmp_path)
    journal.start()

    async def waits() -> None:
        answer = asyncio.ensure_future(journal.record("r", "1", []))
        await asyncio.to_thread(entered.wait, 10)
        assert not answer.done()
        released.set()
        await asyncio.wait_for(answer, 10)

    asyncio.run(waits())
    journal.close()


def test_two_writers_share_a_directory_and_full_files_are_sealed(tmp_path: Path) -> None:
    journals = [AuditJournal(tmp_path, segment_bytes_max=2000) for _ in range(2)]
    for journal in journals:
        journal.start()
    works = [_in_turns(journal, name) for journal, name in zip(journals, "ab", strict=True)]
    threads = [threading.Thread(target=asyncio.run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = sorted(tmp_path.glob(SEGMENT_GLOB))
    modes = [path.stat().st_mode & 0o777 for path in files]
    assert sorted(kept(tmp_path)) == sorted(
        f"{name}-{turn}-{number}" for name in "ab" for turn in range(5) for number in range(20)
    )
    assert modes.count(0o440) == len(files) - 2
    assert modes.count(0o440) >= 4
    for journal in journals:
        journal.close()
    assert {path.stat().st_mode & 0o777 for path in files} == {0o440}


async def _in_turns(journal: AuditJournal, name: str) -> None:
    for turn in range(5):
        await _many(journal, f"{name}-{turn}", 20)


def test_a_torn_tail_is_cut_at_the_next_start_and_a_damaged_file_is_left_as_it_is(tmp_path: Path) -> None:
    torn, damaged, whole = (tmp_path / f"audit-0000000{number}.log" for number in (1, 2, 3))
    line = encode("a", "1", [0.5], 1)
    torn.write_bytes(line + line[:-5])
    damaged.write_bytes(line + b"x" * 30 + b"\n" + line)
    whole.write_bytes(line)
    journal = AuditJournal(tmp_path)
    journal.start()
    journal.close()
    assert (torn.read_bytes(), whole.read_bytes()) == (line, line)
    assert damaged.read_bytes() == line + b"x" * 30 + b"\n" + line


def test_a_file_that_is_still_written_to_is_not_cut(tmp_path: Path) -> None:
    journal = AuditJournal(tmp_path)
    journal.start()
    (path,) = tmp_path.glob(SEGMENT_GLOB)
    with path.open("ab") as other:
        other.write(b"half")
    cut_torn_tail(path)
    assert path.read_bytes() == b"half"
    journal.close()


def test_a_journal_that_was_deleted_refuses_and_goes_on_once_its_folder_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = AuditJournal(tmp_path / "audit")
    journal.start()

    async def lose_it() -> None:
        await journal.record("before", "1", [])
        shutil.rmtree(tmp_path / "audit")
        for number in range(3):
            with pytest.raises(
                AuditError, match=r"audit journal \(audit-00000001.log was deleted\), so it is not given"
            ):
                await journal.record(f"lost-{number}", "1", [])
        (tmp_path / "audit").mkdir()
        end = asyncio.get_running_loop().time() + 5
        while asyncio.get_running_loop().time() < end:
            try:
                return await journal.record("after", "1", [])
            except AuditError:
                await asyncio.sleep(0.05)
        raise AssertionError("it never came back")

    asyncio.run(lose_it())
    assert kept(tmp_path / "audit") == ["after"]
    assert [record.getMessage() for record in caplog.records] == ["audit_failed"]
    journal.close()


def test_it_does_not_start_where_it_can_not_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="audit journal can't be kept"):
        AuditJournal(tmp_path / "file" / "audit").start()


def test_the_command_line_decides_over_the_file() -> None:
    filed = ServiceSettings.model_validate({"audit": {"directory": "a", "mode": "off"}})
    chosen = with_audit(filed, "durable", None).audit
    assert chosen is not None
    assert (chosen.mode, str(chosen.directory)) == ("durable", "a")
    assert with_audit(ServiceSettings(), None, None).audit is None
    with pytest.raises(StartError, match="--audit-directory"):
        with_audit(ServiceSettings(), "durable", None)


def _ask_until_it_dies(address: str, prefix: str, acknowledged: list[str], refused: list[str]) -> None:
    """One call after the other on a channel of its own, until the service is gone."""
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(MODEL_INFER)
        message = infer_request(MODEL, "features", tiny_rows(1)[0]).SerializeToString()
        for number in range(100_000):
            name = f"{prefix}-{number}"
            try:
                call(message, timeout=5, metadata=(("x-request-id", name),))
            except grpc.RpcError as error:
                refused.append(f"{error.code().name}: {error.details()}")
                if "audit" not in refused[-1]:
                    return
            else:
                acknowledged.append(name)


@pytest.mark.parametrize("answers", [50, 400])
def test_killed_in_the_middle_of_its_work_no_acknowledged_answer_is_missing(tmp_path: Path, answers: int) -> None:
    write_tiny_version(tmp_path / "registry")
    options = ("--audit", "durable", "--audit-directory", str(tmp_path / "audit"))
    acknowledged: list[str] = []
    with in_own_process(tmp_path / "registry", MODEL, *options) as process:
        address = process.await_event("ready")["address"]
        arguments = [(address, f"client-{number}", acknowledged, []) for number in range(8)]
        clients = [threading.Thread(target=_ask_until_it_dies, args=each) for each in arguments]
        for client in clients:
            client.start()
        wait_for(lambda: len(acknowledged) >= answers)
        process.popen.send_signal(signal.SIGKILL)
        for client in clients:
            client.join(20)
    assert not set(acknowledged) - set(kept(tmp_path / "audit"))
    assert len(acknowledged) >= answers


def _let_files_grow_to(pid: int, size: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_disk_that_takes_no_more_fails_the_call_with_its_reason_and_the_log_says_so(tmp_path: Path) -> None:
    write_tiny_version(tmp_path / "registry")
    options = ("--audit", "durable", "--audit-directory", str(tmp_path / "audit"))
    acknowledged: list[str] = []
    refused: list[str] = []
    with in_own_process(tmp_path / "registry", MODEL, *options) as process:
        address = process.await_event("ready")["address"]
        client = threading.Thread(target=_ask_until_it_dies, args=(address, "c", acknowledged, refused))
        client.start()
        wait_for(lambda: len(acknowledged) >= 20)
        _let_files_grow_to(process.popen.pid, 5_000)  # the kernel then writes less than asked, and refuses the rest
        process.await_event("audit_failed")
        before = len(acknowledged)
        _let_files_grow_to(process.popen.pid, resource.RLIM_INFINITY)
        wait_for(lambda: len(acknowledged) >= before + 20)
        process.popen.send_signal(signal.SIGKILL)
        client.join(20)
    told = [text for text in refused if "audit journal" in text]
    assert told
    assert all(
        "UNAVAILABLE: the answer can't be recorded in the audit journal (File too large)" in text for text in told
    )
    assert not set(acknowledged) - set(kept(tmp_path / "audit"))
