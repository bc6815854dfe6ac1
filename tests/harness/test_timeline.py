"""Every process of a run writes one timeline, and lines never mix."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from harness.timeline import NoTimeline, Timeline, from_environment

if TYPE_CHECKING:
    from pathlib import Path


def test_an_event_carries_the_run_clock_and_its_detail(tmp_path: Path) -> None:
    timeline = Timeline(tmp_path / "timeline.jsonl", time.monotonic_ns() - 5_000_000_000)
    stamp = timeline.add("fault_requested", "zone-b", fault="zone_crash")
    event = json.loads(timeline.path.read_text())
    assert event == {"t_ns": stamp, "event": "fault_requested", "subject": "zone-b", "detail": {"fault": "zone_crash"}}
    assert 5_000_000_000 <= stamp < 15_000_000_000


def test_a_stamp_measured_elsewhere_is_kept(tmp_path: Path) -> None:
    assert Timeline(tmp_path / "t", 0).add("promoted", "candidate", t_ns=7) == 7


def test_processes_that_write_at_once_never_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "timeline.jsonl"
    program = (
        "import os; from harness.timeline import from_environment; t = from_environment(os.environ); "
        "[t.add('phase_started', 'x' * 300, index=i) for i in range(200)]"
    )
    environment = Timeline(path, time.monotonic_ns()).environment()
    writers = [subprocess.Popen([sys.executable, "-c", program], env=environment) for _ in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(events) == 600
    assert {event["detail"]["index"] for event in events} == set(range(200))


def test_without_a_run_events_are_dropped() -> None:
    timeline = from_environment({})
    assert isinstance(timeline, NoTimeline)
    assert timeline.add("promoted", "candidate", t_ns=3) == 3
