"""The terminal's lines name the verdict, each gate that did not pass, and the next action."""

from __future__ import annotations

from reports.summary import summary_lines
from tests.reports.sample import broken, go, no_go, waived


def test_go_is_three_lines_and_what_was_not_judged() -> None:
    lines = summary_lines(go())
    assert lines[0].startswith("✓ GO for stage internal")
    assert lines[1:] == [
        "  Every required gate passed on the evidence of this run; none failed, none stayed unknown, none was waived.",
        "  not judged: 2, listed in the report",
        "  next: Launch; watch first the area with the least to spare.",
    ]


def test_no_go_names_each_blocking_gate_with_its_reason() -> None:
    lines = summary_lines(no_go())
    assert lines[0].startswith("✗ NO-GO")
    at = lines.index("  ✗ failed: Too slow under launch load [sustained_latency]")
    assert lines[at + 1] == "      2.31 % of 7,204 took longer than 50 ms or got no good answer"
    assert "  ? unknown: The next version decides alike [shadow_agreement]" in lines
    assert not any("passed:" in line for line in lines)


def test_a_waiver_is_told_with_its_owner() -> None:
    assert any("(waived by M. Lindqvist until 2025-04-30" in line for line in summary_lines(waived()))


def test_every_line_is_one_line() -> None:
    assert not any("\n" in line for line in summary_lines(no_go()))


def test_what_became_of_the_faults_is_told_with_each_that_was_not_survived() -> None:
    lines = summary_lines(broken())
    at = lines.index("  ✗ known faults survived as promised: 9 of 11; slowest recovery 4.4 s (two zones lost)")
    assert [line.strip()[:16] for line in lines[at + 1 : at + 4]] == [
        "✗ Two zones lost",
        "? Disk full: the",
        "not judged: 2, l",
    ]
