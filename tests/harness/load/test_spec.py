"""A specification survives its file and refuses what makes no sense."""

from __future__ import annotations

import math

import pytest

from harness.load.spec import LoadSpec, Phase
from harness.plan_target import Tls


def a_spec(**changes: object) -> LoadSpec:
    fields = {
        "scenario": "spike",
        "target": "127.0.0.1:9000",
        "phases": (Phase("before", 100.0, 2.0), Phase("rise", 100.0, 4.0, end_rate_rps=300.0)),
        "requests": "pool",
        "ledger": "ledger.arrow",
        "zero_ns": 123,
    }
    return LoadSpec(**fields | changes)  # type: ignore[arg-type] # the changes are what a test is about


def test_survives_json() -> None:
    spec = a_spec(scenario_index=3, timeline="timeline.jsonl", arrivals="constant")
    assert LoadSpec.from_json(spec.to_json()) == spec


def test_unknown_key_is_refused() -> None:
    with pytest.raises(TypeError, match="rate"):
        LoadSpec.from_json(a_spec().to_json().replace('"seed"', '"rate"'))


def test_expects_the_area_under_the_rate() -> None:
    assert [phase.expected for phase in a_spec().phases] == [200.0, 800.0]
    assert a_spec().duration_s == 6.0


@pytest.mark.parametrize(
    ("name", "rate_rps", "duration_s", "end_rate_rps"),
    [
        ("no time", 10.0, 0.0, None),
        ("negative", -1.0, 1.0, None),
        ("falls below 0", 5.0, 1.0, -1.0),
        ("silent", 0.0, 1.0, 0.0),
        ("without end", 1.0, math.inf, None),
        ("beyond all bounds", math.inf, 1.0, None),
        ("climbs beyond all bounds", 1.0, 1.0, math.inf),
        ("no number", math.nan, 1.0, None),
    ],
)
def test_senseless_phase_is_refused(name: str, rate_rps: float, duration_s: float, end_rate_rps: float | None) -> None:
    with pytest.raises(ValueError, match=name):
        Phase(name, rate_rps, duration_s, end_rate_rps)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phases": ()}, "phases"),
        ({"phases": (Phase("a", 1.0, 1.0), Phase("a", 2.0, 1.0))}, "different names"),
        ({"arrivals": "bursty"}, "bursty"),
        ({"timeout_s": 0.0}, "timeout_s"),
        ({"in_flight_max": 0}, "in_flight_max"),
    ],
)
def test_senseless_specification_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        a_spec(**changes)


def test_request_ids_of_two_scenarios_never_meet() -> None:
    assert a_spec(scenario_index=1).request_id(5) == (1 << 40) + 5
    assert a_spec(scenario_index=0).request_id((1 << 40) - 1) < a_spec(scenario_index=1).request_id(0)


def test_metadata_and_certificates_survive_the_round_trip() -> None:
    tls = Tls(ca="ca.pem", certificate="me.pem", key="me.key", server_name="model.test")
    spec = a_spec(metadata=(("x-api-key", "env:KEY"),), tls=tls, protocol="http", method="POST /predict")
    assert LoadSpec.from_json(spec.to_json()) == spec


def test_half_a_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="belong together"):
        Tls(certificate="me.pem")
