"""The page is one deterministic, self-contained, well-formed document that escapes whatever it is given."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from reports.render import render
from tests.reports.sample import HOSTILE, VERDICTS, go, hostile, load, no_go, unknown, waived
from tests.reports.sample_gates import faults_gate

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Reads a page, insists that tags nest, and keeps ids, tags, links and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.parts: list[str] = []
        self.feed(page)
        assert not self.open, f"left open: {self.open}"

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.parts.append(data)


@pytest.mark.parametrize("name", VERDICTS)
def test_is_the_same_to_the_byte_and_well_formed(name: str) -> None:
    page = render(VERDICTS[name]())
    assert page == render(VERDICTS[name]())
    read = Page(page)
    assert len(read.ids) == len(set(read.ids))
    targets = {value.removeprefix("#") for attribute, value in read.attributes if attribute == "href"}
    assert targets <= set(read.ids)


@pytest.mark.parametrize("name", VERDICTS)
def test_loads_nothing_and_runs_nothing(name: str) -> None:
    page = render(VERDICTS[name]())
    read = Page(page)
    assert not {"script", "img", "link", "iframe", "object"} & set(read.tags)
    assert not {attribute for attribute, _ in read.attributes if attribute.startswith("on") or attribute == "src"}
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page


@pytest.mark.parametrize("name", VERDICTS)
def test_shows_every_gate_check_and_reason(name: str) -> None:
    verdict = VERDICTS[name]()
    page = Page(render(verdict))
    for result in verdict.results:
        assert f"gate-{result.gate}" in page.ids
        texts = (result.title, result.reason, result.why, result.advice, result.reproduce)
        assert all(text in page.text for text in texts)
        assert all(check.reason in page.text for check in result.checks)


def test_page_one_says_what_a_director_must_know() -> None:
    page = Page(render(no_go())).text
    page_one = page.partition("Every gate")[0].split("Parts of this report")[0]
    assert "✗ NO-GO for stage internal" in page_one
    assert "Of 11 required gates, 2 failed and 1 could not be judged. Each of them alone stops this stage." in page_one
    assert "3 to 11 of 2,080 requests lost while the zone was down; 0 allowed" in page_one
    assert "412 pairs compared; at least 588 more are needed" in page_one
    assert "A canary stops a bad version by itself" in page_one
    assert "No GPU was used" in page_one
    assert "Weakest area Testing: Too slow under launch load" in page_one
    assert "Next action Fix first" in page_one


def test_blocking_gates_come_first() -> None:
    page = render(no_go())
    order = [page.index(f'id="gate-{name}"') for name in ("sustained_latency", "shadow_agreement", "availability")]
    assert order == sorted(order)


def test_a_waived_gate_still_shows_as_failing_with_owner_and_expiry() -> None:
    text = Page(render(waived())).text
    assert "✓ GO with 1 waiver for stage internal" in text
    assert "✗ Failed , waived Too slow under launch load" in text
    assert "Too slow under launch load : accepted by M. Lindqvist until 2025-04-30" in text
    assert "Nothing blocks this stage." in text


def test_an_expired_waiver_is_told_as_such() -> None:
    verdict = waived()
    expired = ({**verdict.waivers[0], "state": "expired on 2025-01-31"},)
    assert "(expired on 2025-01-31)" in render(replace(verdict, waivers=expired))
    assert "(in date)" not in render(verdict)


def test_stage_load_says_that_it_is_no_launch_decision() -> None:
    assert "this is no launch decision" in Page(render(load())).text.partition("Every gate")[0]


def test_of_many_checks_those_that_passed_unfold_and_the_others_stand_open() -> None:
    gate = faults_gate()
    passed = tuple(replace(gate.checks[0], name=f"zone_{place}_lost", reason=f"held {place}") for place in range(20))
    page = render(replace(go(), results=(replace(gate, checks=(*gate.checks, *passed)),)))
    article = page[page.index('id="gate-fault_tolerance"') : page.index("</article>")]
    shown, _, folded = article.partition("<details>")
    assert "The 24 checks that passed" in folded
    assert all(f"held {place}" in folded for place in range(20))
    assert "3 to 11 of 1,100 requests lost" in shown
    assert "the fault was never proven in place" in shown
    assert "held 1" not in shown
    all_passed = render(replace(go(), results=(replace(gate, checks=passed),)))
    assert all_passed.count('<table class="checks">') == 1


def test_more_blockers_than_fit_are_counted() -> None:
    failing = tuple(replace(no_go().results[1], gate=f"gate_{place}") for place in range(9))
    assert "And 3 more" in Page(render(replace(no_go(), results=failing))).text


def test_charts_that_could_not_be_drawn_give_the_reason() -> None:
    page = render(unknown())
    assert Page(page).text.count("Not measured: no charts: KeyError: 'phases'") == 5
    assert 'class="drawing"' not in page


def test_a_run_without_any_facts_still_has_a_page() -> None:
    bare = replace(go(), environment={}, series={}, not_judged=(), declarations=(), limits_of_evidence=())
    text = Page(render(bare)).text
    assert "Not recorded in this run." in text
    assert "Not measured in this run." in text


def test_hostile_text_is_shown_and_never_obeyed() -> None:
    page = render(hostile())
    read = Page(page)
    assert not {"script", "img", "b"} & set(read.tags)
    assert not {attribute for attribute, _ in read.attributes if attribute.startswith("on")}
    assert HOSTILE in html.unescape(page)
    assert "{{ 7*7 }}" in page
    assert "49" not in re.findall(r"\d+", read.text.partition("Key numbers")[0])
