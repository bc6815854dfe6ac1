"""The pool of a target of each protocol: real rows first, and the evidence says where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf import message_factory

from harness.plan import LoadedPlan, parse_plan
from harness.requests import RequestsError, make_requests
from tests.harness.test_plan_target import GRPC, HTTP, REST
from tests.integration import weather_service
from tests.integration.weather_service import Weather, serving

if TYPE_CHECKING:
    from pathlib import Path

    from google.protobuf.message import Message

NOWHERE = "127.0.0.1:1"


@pytest.fixture
def described(tmp_path: Path) -> str:
    """A Plan's target that needs no server to be understood."""
    (tmp_path / "weather.pb").write_bytes(weather_service.descriptor_set())
    return GRPC + 'descriptors = "weather.pb"\n'


def _loaded(folder: Path, target: str) -> LoadedPlan:
    return LoadedPlan(parse_plan(target + REST), b"", folder / "readiness.toml")


def _parsed(message: bytes) -> Message:
    described = Weather().pool.FindMessageTypeByName("weather.v1.ForecastRequest")
    return message_factory.GetMessageClass(described).FromString(message)


def test_json_lines_become_messages_of_the_method(tmp_path: Path, described: str) -> None:
    lines = '{"city": "Ulm", "days": ["1", 2], "unit": "KELVIN"}\n{"place": {"latitude": 48.4}}\n'
    (tmp_path / "rows.jsonl").write_text(lines)
    pool = make_requests(_loaded(tmp_path, described + 'requests = "rows.jsonl"\n'), NOWHERE)
    first, second = (_parsed(message) for message in pool.messages)
    assert (first.city, list(first.days), first.unit) == ("Ulm", [1, 2], 1)
    assert second.place.latitude == 48.4
    assert pool.origin == "2 rows of rows.jsonl"


def test_a_csv_becomes_messages_by_a_template(tmp_path: Path, described: str) -> None:
    (tmp_path / "rows.csv").write_text("city,day\nUlm,3\n")
    target = described + 'requests = "rows.csv"\nbody = \'{"city": "{{ city }}", "days": [{{ day }}]}\'\n'
    message = _parsed(make_requests(_loaded(tmp_path, target), NOWHERE).messages[0])
    assert (message.city, list(message.days)) == ("Ulm", [3])


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('{"citty": "Ulm"}', "citty"),
        ('{"days": ["x"]}', "days"),
        ('{"days": [1.5]}', "days"),
        ('{"when": "yesterday"}', "when"),
        ('{"city": "a", "place": {}}', "where"),
        ("null", "weather.v1.ForecastRequest"),
    ],
)
def test_a_row_that_is_no_input_of_the_method_is_named_with_its_field(
    tmp_path: Path, described: str, line: str, field: str
) -> None:
    (tmp_path / "rows.jsonl").write_text("{}\n" + line + "\n")
    with pytest.raises(RequestsError, match=rf"rows\.jsonl:2: does not fit .*{field}") as caught:
        make_requests(_loaded(tmp_path, described + 'requests = "rows.jsonl"\n'), NOWHERE)
    assert "\n" not in str(caught.value)


def test_without_rows_one_message_of_defaults_is_sent_and_said_to_be_made_up(tmp_path: Path) -> None:
    with serving(Weather()) as address:
        pool = make_requests(_loaded(tmp_path, GRPC), address)
    assert pool.messages == (b"",)
    assert "made up, not real inputs" in pool.origin


def test_http_sends_the_rows_as_they_stand_and_nothing_where_there_is_no_body(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"user":  1}\n["ü"]\n')
    pool = make_requests(_loaded(tmp_path, HTTP), NOWHERE)
    assert pool.messages == (b'{"user":  1}', '["ü"]'.encode())
    bodiless = HTTP.replace("POST /predict", "GET /health").replace('requests = "rows.jsonl"\n', "")
    assert make_requests(_loaded(tmp_path, bodiless), NOWHERE).messages == (b"",)
