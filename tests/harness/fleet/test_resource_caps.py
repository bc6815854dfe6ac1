"""A capped process is refused memory or the writing of files by the kernel, lives on, and has both again afterwards."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.fleet.resource_caps import cap, capped, uncap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WORKER = """
import mmap, sys
for line in sys.stdin:
    try:
        if line == "memory_cap\\n":
            mmap.mmap(-1, 8 << 20, flags=mmap.MAP_PRIVATE).close()
        else:
            with open(sys.argv[1], "w") as file:
                file.write("x")
        print("done", flush=True)
    except (OSError, MemoryError) as error:
        print(type(error).__name__, error, flush=True)
"""
Worker = tuple[int, "Callable[[str], str]"]


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """A process's id, and how to have it use a resource; it says "done" or what stood against it."""
    command = [sys.executable, "-c", WORKER, str(tmp_path / "file")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:

        def use(kind: str) -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{kind}\n")
            return process.stdout.readline().strip()

        yield process.pid, use
        process.kill()


@pytest.mark.parametrize(("kind", "refusal"), [("memory_cap", "Cannot allocate"), ("disk_full", "File too large")])
def test_a_cap_bites_is_told_and_is_lifted(worker: Worker, kind: str, refusal: str) -> None:
    pid, use = worker
    assert use(kind) == "done"
    limit = cap(kind, [pid])[pid]
    assert cap(kind, [pid]) == {pid: limit}, "asked again, it stays at what was in use the first time"
    assert capped([pid]) == {kind: limit}
    assert refusal in use(kind)
    uncap(kind, [pid])
    uncap(kind, [pid])
    assert capped([pid]) == {}
    assert use(kind) == "done"


def test_a_process_that_is_gone_has_no_cap_and_needs_none_lifted() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    uncap("memory_cap", [gone.pid])
    assert capped([gone.pid]) == {}
    with pytest.raises(ProcessLookupError):
        cap("disk_full", [gone.pid])
