"""Rows become JSON messages as the Plan says, or an error names the file, the line and the placeholder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness.requests.pool import RequestsError
from harness.requests.rows import json_messages

if TYPE_CHECKING:
    from pathlib import Path


def _messages(folder: Path, name: str, content: str, body: str = "") -> list[object]:
    path = folder / name
    path.write_text(content, newline="")
    return [json.loads(row.text) for row in json_messages(path, body)]


def test_a_json_line_is_a_message_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": 1,  "b": "ü"}\n\n[2]\r\n')
    rows = json_messages(tmp_path / "rows.jsonl", "")
    assert [row.text for row in rows] == ['{"a": 1,  "b": "ü"}', "[2]"]
    assert [row.place for row in rows] == [f"{tmp_path}/rows.jsonl:1", f"{tmp_path}/rows.jsonl:3"]


def test_a_template_makes_a_message_of_a_csv_row(tmp_path: Path) -> None:
    body = '{"user": {{ user_id }}, "when": {{ when | tojson }}, "late": {{ (row["Was late"] == "yes") | tojson }}}'
    content = 'user_id,when,Was late\r\n7,"May ""1"",\n1999",yes\r\n8,now,no\r\n'
    assert _messages(tmp_path, "rows.csv", content, body) == [
        {"user": 7, "when": 'May "1",\n1999', "late": True},
        {"user": 8, "when": "now", "late": False},
    ]


def test_a_template_makes_a_message_of_a_json_row(tmp_path: Path) -> None:
    assert _messages(tmp_path, "r.jsonl", '{"x": [1, 2]}\n', '{"sum": {{ x | sum }}, "all": {{ x | tojson }}}') == [
        {"sum": 3, "all": [1, 2]}
    ]


def test_the_mark_that_spreadsheets_write_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    assert _messages(tmp_path, "rows.csv", "\ufeffa,b\n1,2\n", '{"a": {{ a }}}') == [{"a": 1}]


@pytest.mark.parametrize(
    ("name", "content", "body", "said"),
    [
        ("r.jsonl", '{"a": 1}\n{"a": \n', "", "r.jsonl:2: is not JSON"),
        ("r.jsonl", '{"a": NaN}\n', "", "r.jsonl:1: is not JSON (NaN is no JSON number)"),
        ("r.jsonl", "\n \n", "", "r.jsonl: target.requests holds no rows"),
        ("r.jsonl", "[1]\n", "{{ a }}", "r.jsonl:1: target.body needs a row that is a JSON object"),
        ("r.jsonl", '{"a": 1}\n{"b": 1}\n', "{{ a }}", "r.jsonl:2: target.body: 'a' is undefined; the row has: b"),
        ("r.jsonl", '{"a": {}}\n', "{{ a.b.c }}", "r.jsonl:1: target.body: 'dict object' has no attribute 'b'"),
        ("r.csv", "a,b\n1,2\n", '{"a": {{ A }}}', "r.csv:2: target.body: 'A' is undefined; the row has: a, b"),
        ("r.csv", "a,b\n1,x\n", '{"b": {{ b }}}', "r.csv:2: target.body gives '{\"b\": x}', which: is not JSON"),
        ("r.csv", "a,b\n1,x\n", '{"b": {{ a / 2 }}}', "r.csv:2: target.body can't be rendered (TypeError"),
        ("r.csv", "a,b\n1,2\n", '{"a": {{ a }', "target.body is no Jinja template"),
        ("r.csv", "a,b\n1,2\n1\n", "{}", "r.csv:3: 1 cells in a file of 2 columns"),
        ("r.csv", "a,a\n1,2\n", "{}", "r.csv:1: the first line must name every column, each differently"),
        ("r.csv", "", "{}", "r.csv: target.requests holds no rows"),
        ("r.csv", 'a\n"1\n', "{}", "r.csv:2: not CSV"),
    ],
)
def test_a_row_that_does_not_fit_is_named(tmp_path: Path, name: str, content: str, body: str, said: str) -> None:
    with pytest.raises(RequestsError) as caught:
        _messages(tmp_path, name, content, body)
    assert said in str(caught.value)


def test_a_template_reaches_nothing_but_its_row(tmp_path: Path) -> None:
    body = "{{ ''.__class__.__mro__[1].__subclasses__() | length }}"
    with pytest.raises(RequestsError, match=r"target\.body"):
        _messages(tmp_path, "r.csv", "a\n1\n", body)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestsError, match=r"none\.jsonl: target\.requests can't be read \(No such file"):
        json_messages(tmp_path / "none.jsonl", "")
    (tmp_path / "latin.csv").write_bytes("a\nü\n".encode("latin-1"))
    with pytest.raises(RequestsError, match=r"latin\.csv: target\.requests is not UTF-8"):
        json_messages(tmp_path / "latin.csv", "{}")
