"""Every experiment gets the same chart on the same axes; what is marked lies where it was measured."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

import pytest

from reports.experiments import read_experiments
from reports.multiple_marks import names
from reports.multiples import Drawing, Multiple, Multiples, multiples
from reports.render import render
from tests.reports.sample import broken, go
from tests.reports.sample_experiments import BEFORE_S, CRASH, FREEZE, TRIED, experiments, measured

PAGE_BYTES_MAX = 1_500_000
DRAWING_BYTES_MAX = 20_000


def drawn(items: list[dict[str, Any]]) -> Multiples:
    return multiples({"experiments": items, "slo_ms": {item["scenario"]: 50.0 for item in items}})


def figure(name: str, of: Multiples) -> Multiple:
    return next(item for item in of.figures if item.name == name)


def drawing(name: str, of: Multiples) -> Drawing:
    found = figure(name, of).drawing
    assert found is not None
    return found


def test_each_experiment_is_drawn_once_and_of_repeats_the_worst() -> None:
    found = drawn(experiments())
    assert len(found.figures) == len({tried.name for tried in TRIED})
    frozen = figure("Zone freeze", found)
    assert frozen.tries == "Done 3 times; the worst, number 2, is shown."
    assert any(mark.label == "TTR 2.1\xa0s" for mark in drawing("Zone freeze", found).uprights)


def test_all_share_their_axes() -> None:
    items = [measured(CRASH), measured(replace(FREEZE, slow=200.0, spike=5.0))]
    one, both = drawn(items[:1]), drawn(items)
    assert both.axes is not None
    assert one.axes is not None
    for scale in ("times", "zones"):
        assert getattr(both.axes, scale).high > getattr(one.axes, scale).high
    assert drawing("Zone crash", both).lines[0].path != drawing("Zone crash", one).lines[0].path


def test_zero_is_the_request_of_the_fault_whenever_that_was() -> None:
    late = measured(FREEZE)
    late["fault"] = {"requested_s": 6.0, "in_place_s": 6.1, "removed_s": 11.6}
    found = drawn([measured(CRASH), late])
    assert found.axes is not None
    assert found.axes.x.low == -6.0
    zero = found.axes.x.place(0.0)
    shades = [drawing(name, found).shade for name in ("Zone crash", "Zone freeze")]
    assert [shade.left for shade in shades if shade] == [zero, zero]


def test_the_fault_is_shaded_from_its_request_until_it_was_proven_gone() -> None:
    found = drawn([measured(CRASH)])
    shade = drawing("Zone crash", found).shade
    assert found.axes is not None
    assert shade is not None
    assert shade.left + shade.width == pytest.approx(found.axes.x.place(5.6), abs=0.1)
    assert (shade.label, shade.story) == ("zone-b killed", "zone-b killed, proven gone after 5.6\xa0s")


def test_a_fault_that_was_never_proven_gone_is_shaded_to_the_end_and_says_so() -> None:
    item = measured(CRASH)
    item["fault"] |= {"removed_s": None}
    found = drawn([item])
    shade = drawing("Zone crash", found).shade
    assert found.axes is not None
    assert shade is not None
    assert shade.left + shade.width == pytest.approx(found.axes.x.end)
    assert shade.story.endswith("never proven gone")


def test_detection_and_recovery_are_marked_where_they_were_measured() -> None:
    found = drawn([measured(CRASH)])
    assert found.axes is not None
    marks = {mark.style: mark for mark in drawing("Zone crash", found).uprights}
    places = {style: found.axes.x.place(at) for style, at in (("in-place", 0.08), ("ttd", 0.31), ("ttr", 0.6))}
    assert {style: mark.at for style, mark in marks.items()} == places
    assert (marks["ttd"].label, marks["ttr"].label) == ("TTD 0.31\xa0s", "TTR 0.6\xa0s")
    assert (marks["ttd"].row, marks["ttr"].row) == (1, 2)


def test_the_earlier_mark_is_labelled_above_so_that_no_line_crosses_a_label() -> None:
    marks = drawing("Zone crash", drawn([measured(replace(CRASH, ttd_s=0.9, ttr_s=0.2))])).uprights
    assert [(mark.style, mark.row) for mark in marks if mark.row] == [("ttr", 1), ("ttd", 2)]


def test_a_recovery_in_no_time_was_measured_and_is_marked() -> None:
    marks = drawing("Zone crash", drawn([measured(replace(CRASH, ttr_s=0.0))])).uprights
    assert "TTR 0\xa0s" in {mark.label for mark in marks}


@pytest.mark.parametrize(("field", "style"), [("ttd_s", "ttd"), ("ttr_s", "ttr"), ("in_place_s", "in-place")])
def test_what_was_not_measured_is_not_marked(field: str, style: str) -> None:
    item = measured(CRASH)
    (item["fault"] if field in item["fault"] else item)[field] = None
    assert style not in {mark.style for mark in drawing("Zone crash", drawn([item])).uprights}


def test_without_a_fault_nothing_is_shaded_marked_or_called_broken() -> None:
    item = measured(CRASH)
    item["fault"] = dict.fromkeys(item["fault"])
    found = drawing("Zone crash", drawn([item]))
    assert (found.shade, found.uprights) == (None, ())
    assert "broken" not in {name.style for name in found.names}


def test_a_label_near_the_right_edge_stands_left_of_its_line() -> None:
    found = drawn([measured(replace(CRASH, ttr_s=11.8))])
    ttr = next(mark for mark in drawing("Zone crash", found).uprights if mark.style == "ttr")
    assert ttr.anchor == "end"
    assert ttr.beside < ttr.at


def test_one_failure_in_ten_thousand_is_seen_and_its_depth_is_its_share() -> None:
    def depth(share: float) -> float:
        item = measured(CRASH)
        item["seconds"]["ok_ratio"][5] = 1 - share
        failed = re.fullmatch(r"M[\d.]+ ([\d.]+)H[\d.]+V([\d.]+)H[\d.]+Z", drawing("Zone crash", drawn([item])).failed)
        assert failed is not None
        return float(failed[2]) - float(failed[1])

    assert depth(1e-4) == 3.0
    assert depth(1.0) == pytest.approx(32.0)
    assert drawing("Zone crash", drawn([measured(CRASH)])).failed == ""


def test_a_second_without_requests_is_a_gap() -> None:
    item = measured(CRASH)
    for name in ("p50_ms", "p99_ms", "ok_ratio"):
        item["seconds"][name][7] = None
    found = drawing("Zone crash", drawn([item]))
    assert [curve.path.count("M") for curve in found.lines] == [2, 2]
    assert found.good.count("M") == 2
    assert found.failed == ""


def test_a_zone_has_the_same_colour_everywhere_and_the_broken_one_stands_out_by_name() -> None:
    other = measured(FREEZE)
    del other["seconds"]["zones"]["zone-a"]
    found = drawn([measured(CRASH), other])
    assert [(zone.name, zone.style) for zone in found.zones] == [
        (f"zone-{z}", f"zone-{i}") for i, z in enumerate("abc")
    ]
    assert [area.style for area in drawing("Zone freeze", found).areas] == ["zone-1", "zone-2"]
    assert [name.text for name in drawing("Zone crash", found).names if name.style == "broken"] == ["zone-b"]


def test_names_at_the_edge_do_not_cover_each_other() -> None:
    placed = names([(300.0, "zone-a", "zone"), (300.0, "zone-b", "zone"), (299.0, "zone-c", "zone")], 306.0)
    heights = [name.at for name in placed]
    assert all(below - above >= 12 for below, above in itertools.pairwise(heights))


def test_the_numbers_of_a_chart_are_its_table_by_seconds_from_the_fault() -> None:
    table = figure("Zone crash", drawn(experiments())).table
    assert table is not None
    assert table.columns[:4] == ("seconds from the fault", "p50, ms", "p99, ms", "answered, %")
    assert len(table.rows) == 15
    assert [row[0] for row in table.rows][: round(BEFORE_S) + 1] == ["-3", "-2", "-1", "0"]


def test_nothing_measured_is_no_drawing() -> None:
    item = measured(CRASH) | {"seconds": None}
    found = drawn([item])
    assert found.axes is None
    assert (found.figures[0].drawing, found.figures[0].table) == (None, None)


@pytest.mark.parametrize("part", ["p50_ms", "p99_ms", "ok_ratio", "zones"])
def test_any_one_part_may_be_absent(part: str) -> None:
    item = measured(CRASH)
    del item["seconds"][part]
    assert drawing("Zone crash", drawn([item])).shade


def test_an_hour_of_seconds_stays_small() -> None:
    item = measured(CRASH)
    seconds = item["seconds"]
    seconds["zones"] = {zone: values * 240 for zone, values in seconds["zones"].items()}
    for name in ("p50_ms", "p99_ms", "ok_ratio"):
        seconds[name] *= 240
    seconds["t_s"] = [float(at) for at in range(3600)]
    found = drawing("Zone crash", drawn([item]))
    assert all(len(curve.path) < DRAWING_BYTES_MAX / 4 for curve in (*found.lines, *found.areas))
    (read,) = read_experiments({"experiments": [item]})
    assert read.worst.seconds.end_s == 3600.0


def test_the_page_stays_small_and_each_drawing_has_a_name_and_a_description() -> None:
    page = render(broken())
    assert len(page.encode()) < PAGE_BYTES_MAX / 3
    drawings = re.findall(r'<svg class="multiple".*?</svg>', page, re.DOTALL)
    assert len(drawings) == 13
    for found in drawings:
        assert len(found.encode()) < DRAWING_BYTES_MAX
        assert 'role="img"' in found
        assert re.search(r"<title id=.*?>.+</title>\s*<desc id=.*?>.+</desc>", found)
        assert not re.search(r"#[0-9a-f]{3,6}\b", found)


def test_a_run_without_experiments_has_no_trace_of_them() -> None:
    page = render(go())
    assert "experiment" not in page.split("<style>")[1].split("</style>")[0]
    assert 'id="experiments"' not in page
    assert "Retry amplification" not in page
