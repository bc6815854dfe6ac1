"""Charts show what the series hold, break where nothing was measured, stay small, and never fail on absence."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import pytest

from reports.charts import charts
from reports.render import render
from tests.reports.sample import broken, go
from tests.reports.sample_series import series

if TYPE_CHECKING:
    from reports.chart import Chart

SVG_BYTES_MAX = 60_000
IDS = ["response-time", "throughput", "zones", "capacity", "distribution"]


def chart(name: str, drawn: dict[str, object]) -> Chart:
    return next(item for item in charts(drawn) if item.id == name)


def test_all_are_drawn_in_order() -> None:
    drawn = charts(series())
    assert [item.id for item in drawn] == IDS
    assert all(item.measured and item.reading and item.table and item.table.rows for item in drawn)


@pytest.mark.parametrize(
    "empty", [{}, {"t_s": []}, {"error": "no charts"}, {"t_s": [0.0], "bin_s": 1, "ok_rps": [None]}]
)
def test_nothing_measured_is_said_not_drawn(empty: dict[str, object]) -> None:
    assert [item.measured for item in charts(empty)] == [False] * 5
    assert all(item.reading.startswith("Not measured") for item in charts(empty))


@pytest.mark.parametrize(
    "absent", ["faults", "phases", "zones", "slo_ms", "distribution", "capacity", "p99_ms", "p50_ms", "failed_rps"]
)
def test_any_one_part_may_be_absent(absent: str) -> None:
    part = {name: values for name, values in series().items() if name != absent}
    assert [item.id for item in charts(part)] == IDS


def test_a_run_of_one_bin_with_one_request_is_drawn() -> None:
    one = {"bin_s": 0.5, "t_s": [0.0], "ok_rps": [2.0], "failed_rps": [0.0], "p50_ms": [5.0], "p99_ms": [5.0]}
    assert [item.measured for item in charts(one)] == [True, True, False, False, False]


def test_lines_break_where_nothing_was_answered() -> None:
    gaps = series()
    assert None in gaps["p99_ms"]
    p99 = chart("response-time", gaps).lines[0].path
    stretches = [part for part in re.split("M", p99) if part]
    assert len(stretches) == 6  # one for each scenario
    assert "None" not in p99
    assert "nan" not in p99


def test_a_fault_is_shaded_where_it_was_and_to_the_end_when_never_removed() -> None:
    run = series()
    frame = chart("response-time", run).frame
    assert frame is not None
    crash = frame.faults[0]
    assert crash.label == "zone-b killed"
    assert crash.left == pytest.approx(frame.x.place(107.0))
    assert crash.left + crash.width == pytest.approx(frame.x.place(112.4), abs=0.1)
    run["faults"][0]["end_s"] = None
    open_frame = chart("response-time", run).frame
    assert open_frame is not None
    assert open_frame.faults[0].left + open_frame.faults[0].width == pytest.approx(frame.x.end)


def test_labels_of_one_row_do_not_touch() -> None:
    frame = chart("throughput", series()).frame
    assert frame is not None
    for row in (0, 1):
        labels = [item for item in frame.scenarios if item.row == row]
        for one, other in itertools.pairwise(labels):
            assert one.middle + 3 * len(one.label) < other.middle - 3 * len(other.label)


def test_each_scenario_has_its_own_objective() -> None:
    rules = chart("response-time", series()).rules
    assert len(rules) == 2
    assert rules[0].at > rules[1].at  # 50 ms lies below 200 ms


def test_stacked_zones_add_up_to_the_whole() -> None:
    areas = chart("zones", series()).areas
    assert [item.name for item in areas] == ["zone-a", "zone-b", "zone-c"]
    bottom_of_second = areas[1].path.split(" ")[-1]
    assert bottom_of_second  # closed along the first zone's line
    assert all(item.path.endswith("Z") for item in areas)


def test_each_bin_with_failures_gets_a_stroke_and_others_none() -> None:
    assert chart("throughput", series()).lines[1].path == ""
    assert chart("throughput", series(failing=True)).lines[1].path.count("M") == 1


def test_failures_set_the_scale_too() -> None:
    run = series()
    run["failed_rps"] = [5000.0 for _ in run["t_s"]]
    assert chart("throughput", run).y_ticks[-1].label == "5,000"


def test_a_day_long_run_stays_small() -> None:
    day = series()
    bins = 86_400
    for name in ("ok_rps", "failed_rps", "p50_ms", "p99_ms", "max_ms"):
        day[name] = [value if value is not None else 1.0 for value in day[name]] * (bins // 264 + 1)
    day["zones"] = {zone: values * (bins // 264 + 1) for zone, values in day["zones"].items()}
    day["t_s"] = [index * 1.0 for index in range(len(day["ok_rps"]))]
    day["bin_s"] = 1.0
    drawn = charts(day)
    assert all(len(curve.path) < SVG_BYTES_MAX / 4 for item in drawn for curve in (*item.lines, *item.areas))


def test_each_drawing_is_small_labelled_and_described() -> None:
    drawings = re.findall(r'<svg class="drawing".*?</svg>', render(go()), re.DOTALL)
    assert len(drawings) == 5
    for drawing in drawings:
        assert len(drawing.encode()) < SVG_BYTES_MAX
        assert 'role="img"' in drawing
        assert re.search(r"<title id=.*?>.+</title>\s*<desc id=.*?>.+</desc>", drawing)
        assert "(log)" in drawing or "requests per second" in drawing
        assert not re.search(r"#[0-9a-f]{3,6}\b", drawing)  # colours are the style's, so that both themes work


def test_many_experiments_share_one_label_and_a_few_have_their_own() -> None:
    many = broken().series
    frame = chart("throughput", many).frame
    assert frame is not None
    assert [item.label for item in frame.scenarios][-2:] == ["staircase", "broken on purpose"]
    assert {item.label for item in frame.faults} == {""}
    assert any(item.story.startswith("zone-b frozen, from") for item in frame.faults)
    few = chart("throughput", many | {"experiments": many["experiments"][:2]}).frame
    assert few is not None
    assert "rollback" in [item.label for item in few.scenarios]


def test_experiments_with_charts_of_their_own_have_no_histogram() -> None:
    assert len(chart("distribution", series()).rows) == 6
    assert [row.label for row in chart("distribution", broken().series).rows][-1] == "staircase"


def test_a_label_without_room_is_left_out_and_its_story_kept() -> None:
    run = series()
    run["faults"] = [
        {"kind": "zone_freeze", "subject": "zone-a", "start_s": at, "end_s": at + 1} for at in (50, 51, 52)
    ]
    frame = chart("throughput", run).frame
    assert frame is not None
    assert [item.label for item in frame.faults] == ["zone-a frozen", "zone-a frozen", ""]
    assert frame.faults[2].story.startswith("zone-a frozen, from 52 s")
