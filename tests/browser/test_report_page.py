"""The report in a real browser: readable and whole on screen, phone and paper, in both themes, without scripts."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import pytest

from harness.verdict_json import from_json
from reports.render import render
from tests.golden.refresh import GOLDEN
from tests.reports.sample import HOSTILE, VERDICTS, broken, go, hostile, no_go

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

    from harness.model import Verdict

pytestmark = pytest.mark.needs_chromium

DESKTOP, PHONE, A4 = {"width": 1200, "height": 900}, {"width": 390, "height": 844}, {"width": 794, "height": 1123}
_EDGES = """selector => [...document.querySelectorAll(selector)].map(item => item.getBoundingClientRect())
  .map(box => [box.left, box.right])"""
CHART_IDS = ("response-time", "throughput", "zones", "capacity", "distribution")


@pytest.fixture
def opened(chromium: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens a verdict's report from a file, without scripts; a request or message of the page fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_report(verdict: Verdict, **settings: Any) -> Page:
        path = tmp_path / "report.html"
        path.write_text(render(verdict), encoding="utf-8")
        contexts.append(chromium.new_context(**{"viewport": DESKTOP, "java_script_enabled": False, **settings}))
        page = contexts[-1].new_page()
        page.on("request", lambda request: complaints.extend({request.url} - {path.as_uri()}))
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(path.as_uri())
        return page

    yield open_report
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize("name", VERDICTS)
def test_verdict_gates_and_charts_are_found(opened: Callable[..., Page], name: str) -> None:
    verdict = VERDICTS[name]()
    page = opened(verdict)
    assert page.get_by_role("heading", level=1).inner_text().split()[1] == verdict.decision
    for result in verdict.results:
        assert page.get_by_role("article").filter(has_text=result.reason).first.is_visible()
        assert page.locator(f"#gate-{result.gate} table").is_visible()
    drawn = page.get_by_role("img").count()
    experiments = len({item["name"] for item in verdict.series.get("experiments", ())})
    assert drawn == {"load": 4, "unknown": 0}.get(name, 5) + experiments
    assert page.locator("figure").count() == len(CHART_IDS) + experiments


def test_a_run_of_real_traffic_shows_its_verdict_all_eleven_gates_and_the_charts(opened: Callable[..., Page]) -> None:
    verdict = from_json((GOLDEN / "verdict.json").read_bytes())
    page = opened(verdict)
    assert page.get_by_role("heading", level=1).inner_text().split()[1] == "GO"
    assert page.get_by_role("article").count() == len(verdict.results) == 11
    for name in CHART_IDS:
        assert page.locator(f"#chart-{name} svg.drawing").is_visible()
    assert "zone-b killed" in page.locator("#chart-zones").inner_text()


def test_charts_have_names_labels_and_a_table(opened: Callable[..., Page]) -> None:
    page = opened(go())
    for name in CHART_IDS:
        figure = page.locator(f"#chart-{name}")
        title = figure.get_by_role("heading").inner_text()
        assert figure.get_by_role("img", name=title).is_visible()
        assert figure.locator("svg .axis-label").first.is_visible()
        figure.locator("summary").click()
        assert figure.get_by_role("table").is_visible()


def test_landmarks_headings_and_language(opened: Callable[..., Page]) -> None:
    page = opened(no_go())
    assert page.locator("html").get_attribute("lang") == "en"
    for role in ("banner", "main", "navigation", "contentinfo"):
        assert page.get_by_role(role).count() == 1
    levels = [int(tag[1]) for tag in re.findall(r"<(h[1-6])\b", page.content())]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_keyboard_reaches_the_gates_first(opened: Callable[..., Page]) -> None:
    page = opened(no_go())
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to every gate"
    page.keyboard.press("Enter")
    assert page.url.endswith("#gates")


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("build", [no_go, hostile, broken])
def test_nothing_makes_the_page_scroll_sideways(
    opened: Callable[..., Page], build: Callable[[], Verdict], viewport: dict[str, int]
) -> None:
    page = opened(build(), viewport=viewport, java_script_enabled=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_each_experiment_has_a_row_that_leads_to_its_chart_and_the_numbers_of_it(opened: Callable[..., Page]) -> None:
    page = opened(broken())
    row = page.get_by_role("row").filter(has_text="A zone freezes and callers do not notice")
    assert "2.1" in row.inner_text()
    assert "median 1.6" in row.inner_text().replace("\xa0", " ")
    row.get_by_role("link", name="Zone freeze").click()
    figure = page.locator(page.url.partition("#")[1] + page.url.partition("#")[2])
    assert figure.get_by_role("heading", name="Zone freeze").is_visible()
    assert figure.get_by_role("img", name="Zone freeze: response time, share answered, answers by zone").is_visible()
    assert "TTR 2.1" in figure.locator("svg").text_content().replace("\xa0", " ")
    figure.locator("summary").click()
    assert figure.get_by_role("table").get_by_role("row").count() == 16


@pytest.mark.parametrize(("viewport", "columns"), [(PHONE, 1), (DESKTOP, 2)], ids=["phone", "desktop"])
def test_small_charts_stand_side_by_side_where_there_is_room_and_none_is_cut(
    opened: Callable[..., Page], viewport: dict[str, int], columns: int
) -> None:
    page = opened(broken(), viewport=viewport, java_script_enabled=True)
    drawings = page.evaluate(_EDGES, "svg.multiple")
    assert len({left for left, _ in drawings}) == columns
    assert len({round(right - left) for left, right in drawings}) == 1
    edges = drawings + page.evaluate(_EDGES, "svg.multiple text") + page.evaluate(_EDGES, ".experiments td")
    assert len(edges) > 300
    assert all(left >= 0 and right <= viewport["width"] for left, right in edges)


def test_a_small_chart_is_never_cut_by_the_end_of_a_sheet(opened: Callable[..., Page]) -> None:
    page = opened(broken(), viewport=A4, java_script_enabled=True)
    page.emulate_media(media="print")
    style = "getComputedStyle(document.querySelector('figure.multiple')).breakInside"
    assert page.evaluate(style) == "avoid"
    assert page.locator("figure.multiple details").first.is_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= A4["width"]


def test_hostile_text_is_text(opened: Callable[..., Page]) -> None:
    page = opened(hostile(), java_script_enabled=True)
    assert page.locator("script, img:not([role])").count() == 0
    assert HOSTILE.split("\u202e", maxsplit=1)[0].strip() in page.locator("#gate-availability h3").inner_text()


def test_each_theme_has_its_own_ground_and_ink(opened: Callable[..., Page]) -> None:
    seen = {}
    for theme in ("light", "dark"):
        page = opened(go(), color_scheme=theme, java_script_enabled=True)
        body = "getComputedStyle(document.body)"
        line = "getComputedStyle(document.querySelector('.line.p99[d]')).stroke"
        seen[theme] = page.evaluate(f"[{body}.backgroundColor, {body}.color, {line}]")
    assert seen["light"][0] == "rgb(255, 255, 255)"
    assert all(light != dark for light, dark in zip(seen["light"], seen["dark"], strict=True))


@pytest.mark.parametrize("name", VERDICTS)
def test_page_one_prints_on_one_sheet(opened: Callable[..., Page], name: str) -> None:
    page = opened(VERDICTS[name](), java_script_enabled=True)
    assert sheets(page) > 3
    page.evaluate("document.querySelectorAll('main, footer').forEach(part => part.remove())")
    assert sheets(page) == 1


def test_paper_is_light_even_in_the_dark_theme(opened: Callable[..., Page]) -> None:
    page = opened(go(), color_scheme="dark", viewport=A4, java_script_enabled=True)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(28, 33, 40)"
    assert page.locator("nav").is_hidden()


def sheets(page: Page) -> int:
    """Sheets of the page's PDF; Chromium writes page objects uncompressed."""
    return len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True)))
