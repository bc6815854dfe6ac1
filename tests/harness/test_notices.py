"""What webhooks are told: JSON by its own schema, and blocks within Slack's limits, whatever the result says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import harness
from harness.model import Decision, Outcome
from harness.notices import Finding, Notice, body, no_verdict, of_drill, of_verdict
from tests.builders import healthy

SCHEMA = json.loads((Path(harness.__file__).parent / "notice.schema.json").read_bytes())


def notice(decision: str = "NO-GO", text: str = "p99 is over its limit", count: int = 2) -> Notice:
    finding = Finding(name="availability", title="Availability", outcome=Outcome.FAIL, reason=text)
    return Notice(
        kind="run",
        name="internal",
        service="flight-delay",
        decision=Decision(decision),
        headline=f"NO-GO for internal: {text}",
        exit_code=1,
        as_of="2026-01-02T03:04:05+00:00",
        folder="/runs/1",
        findings=(finding,) * count,
    )


def valid(document: dict[str, Any]) -> bool:
    jsonschema.validate(document, SCHEMA, format_checker=jsonschema.FormatChecker())
    return True


def test_the_json_of_a_real_verdict_is_as_its_schema_says() -> None:
    verdict = healthy().judge()
    document = body(of_verdict(verdict, "/runs/1"), "json")
    assert valid(document)
    assert (document["decision"], document["exit_code"], document["run_id"]) == ("GO", 0, "run-1")
    assert {item["name"] for item in document["findings"]} == {item.gate for item in verdict.results}
    with pytest.raises(jsonschema.ValidationError):
        valid(document | {"secret": "x"})


@pytest.mark.parametrize(("outcome", "said"), [("PASS", "met its targets"), ("FAIL", "RTO was 9 s")])
def test_a_drill_is_told_by_its_own_document(outcome: str, said: str) -> None:
    check = {"name": "rto", "outcome": outcome, "reason": "RTO was 9 s", "observed": 9.0}
    decision = "GO" if outcome == "PASS" else "NO-GO"
    told = {"schema": 1, "drill": "data_loss", "id": "1", "as_of": "2026-01-02T03:04:05+00:00", "subject": "m@1"}
    document = body(
        of_drill(told | {"decision": decision, "exit_code": 1, "checks": [check]}, "s", "/drills/1"), "json"
    )
    assert valid(document)
    assert (document["kind"], document["name"], document["decision"]) == ("drill", "data_loss", decision)
    assert said in document["headline"]


def test_a_run_without_a_verdict_is_no_go_in_one_line() -> None:
    told = no_verdict("s", "internal", "no zones\nthe log: …", exit_code=2, as_of="2026-01-02T03:04:05+00:00")
    document = body(told, "json")
    assert valid(document)
    assert (document["decision"], document["headline"], document["findings"]) == ("NO-GO", "No verdict: no zones", [])


def texts(block: dict[str, Any]) -> list[tuple[str, str]]:
    items = block["elements"] if block["type"] == "context" else [block["text"]]
    return [(item["type"], item["text"]) for item in items]


def within_slacks_limits(document: dict[str, Any]) -> bool:
    """As https://docs.slack.dev/reference/block-kit/blocks has them."""
    assert set(document) == {"text", "blocks"}
    assert 0 < len(document["text"]) <= 3000
    assert 0 < len(document["blocks"]) <= 50
    for block in document["blocks"]:
        assert block["type"] in {"header", "section", "context"}
        for kind, text in texts(block):
            assert kind == ("plain_text" if block["type"] == "header" else "mrkdwn")
            assert 0 < len(text) <= (150 if block["type"] == "header" else 3000)
            assert kind == "plain_text" or not set("<>") & set(text)
    return True


def test_slack_is_told_what_failed_and_where_it_lies() -> None:
    document = body(notice(), "slack")
    assert within_slacks_limits(document)
    words = json.dumps(document)
    for expected in ("flight-delay: NO-GO", "*FAIL* Availability: p99 is over its limit", "/runs/1"):
        assert expected in words
    assert ":white_check_mark:" in json.dumps(body(notice("GO", count=0), "slack"))


@pytest.mark.parametrize("text", ["<!channel>", "<https://evil|ok>", "&lt;", "x" * 20_000, "&" * 5000])
def test_hostile_and_long_texts_stay_texts(text: str) -> None:
    assert within_slacks_limits(body(notice(text=text, count=100), "slack"))
    assert valid(body(notice(text=text), "json"))


@given(st.text(), st.integers(0, 40))
def test_any_text_fits(text: str, count: int) -> None:
    assert within_slacks_limits(body(notice(text=text, count=count), "slack"))
