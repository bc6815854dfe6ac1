"""What the comparison with peers makes of what it saw: whole answers count, the better setting of a peer counts."""

from __future__ import annotations

import pytest

from tests.benchmarks.peers.comparison import Standing
from tests.benchmarks.peers.contender import Contender
from tests.benchmarks.peers.load import Load, WrongAnswerError, _parse, check_size
from tests.benchmarks.peers.table import goals, table

SAID = """
finished in 2.00s, 5043.50 req/s, 611.52KB/s
requests: 10087 total, 10151 started, 10087 done, 10087 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 10087 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 1.19MB (1252371) total, 354.94KB (363456) headers (space savings 71.30%), 571.33KB (585046) data
                     min         max         mean         sd        +/- sd
time for request:     5.12ms     30.40ms     12.66ms      2.01ms    74.21%
"""


def standing(name: str, group: str, *rps: float, unknown: str = "") -> Standing:
    contender, each = Contender(name, group, lambda _: pytest.fail("not started here")), [*rps]
    return Standing(contender, unknown=unknown, rps=each, mean_ms=each, cpu_us=each, foreign_cores=each)


def test_what_h2load_said() -> None:
    assert _parse(SAID, 2.0) == Load(answered=10087, seconds=2.0, mean_ms=12.66, data_bytes=585046)


@pytest.mark.parametrize("changed", ["0 3xx, 7 4xx", "0 3xx, 0 4xx, 7 5xx", "7 failed", "7 errored"])
def test_a_call_that_failed_spoils_the_run(changed: str) -> None:
    count, _, name = changed.rpartition(" ")
    spoilt = SAID.replace(f"0 {name}", f"{count.split()[-1]} {name}")
    assert spoilt != SAID
    with pytest.raises(WrongAnswerError):
        _parse(spoilt, 2.0)


def test_answers_without_a_body_are_no_answers() -> None:
    load = _parse(SAID, 2.0)
    check_size(load, 58)
    with pytest.raises(WrongAnswerError, match="but 585046 bytes came"):
        check_size(load, 60)


def test_a_goal_is_held_against_the_better_setting_of_a_peer() -> None:
    seen = [
        standing("ours, bare", "ours", 200.0, 200.0, 200.0),
        standing("slow", "Triton", 50.0, 50.0, 50.0),
        standing("fast", "Triton", 100.0, 200.0, 100.0),
    ]
    assert goals(seen)[2] == "| ours, bare ≥ 1.3 × Triton | 2.00 (1.00 to 2.00, n=3) | yes |"


def test_a_goal_without_figures_is_unknown() -> None:
    seen = [standing("ours, bare", "ours", 200.0), standing("fast", "Triton", unknown="no wheel for this Python")]
    assert goals(seen)[2] == "| ours, bare ≥ 1.3 × Triton | UNKNOWN | UNKNOWN |"
    assert "UNKNOWN: no wheel for this Python" in table(seen)[3]
