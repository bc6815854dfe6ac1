"""The options of a scenario run by hand make the specification that its help promises."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from harness.load.options import Option, add_options, spec_from_options
from harness.load.pool import read_pool
from harness.load.spec import MODEL_INFER, Phase
from harness.plan_target import Tls

PHASES = (Phase("hold", 10.0, 1.0),)


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser, (Option("--rate", 200.0, "requests per second"),), "What it does.")
    return parser.parse_args(arguments)


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "http://127.0.0.1:9000", "grpc://127.0.0.1:9000/"])
def test_defaults_are_a_whole_specification(tmp_path: Path, host: str) -> None:
    options = parsed("--requests", str(tmp_path / "pool"))
    spec = spec_from_options("spike", PHASES, host, options)
    assert (spec.target, spec.method, spec.arrivals, spec.phases) == ("127.0.0.1:9000", MODEL_INFER, "poisson", PHASES)
    assert options.rate == 200.0


def test_every_option_reaches_the_specification(tmp_path: Path) -> None:
    spec = spec_from_options(
        "spike",
        PHASES,
        "h:1",
        parsed(
            *(
                "--arrivals",
                "constant",
                "--seed",
                "7",
                "--timeout",
                "0.5",
                "--connections",
                "3",
                "--in-flight-max",
                "9",
            ),
            *("--late-limit", "0.1", "--drain", "1.5", "--method", "/a.B/C", "--requests", "p"),
            *("--ledger", str(tmp_path / "l.arrow")),
        ),
    )
    assert (spec.arrivals, spec.seed, spec.timeout_s, spec.connections) == ("constant", 7, 0.5, 3)
    assert (spec.in_flight_max, spec.late_limit_s, spec.drain_s) == (9, 0.1, 1.5)
    assert (spec.method, spec.requests, spec.ledger) == ("/a.B/C", "p", str(tmp_path / "l.arrow"))


def test_help_tells_what_the_scenario_does_and_each_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parsed("--scenario-help")
    shown = " ".join(capsys.readouterr().out.split())
    assert "What it does." in shown
    assert "requests per second (default: 200.0)" in shown


def test_a_service_of_ones_own_is_reached_as_the_options_say(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"a": 1}\n\n{"a": 2}\n')
    options = parsed(
        *("--protocol", "http", "--method", "POST /predict", "--metadata", "X-Api-Key=env:KEY, x-team=blue"),
        *("--requests", str(rows), "--ledger", str(tmp_path / "l.arrow"), "--target-name", "model.test"),
    )
    spec = spec_from_options("spike", PHASES, "10.1.1.1:9", options)
    assert (spec.protocol, spec.method) == ("http", "POST /predict")
    assert spec.metadata == (("x-api-key", "env:KEY"), ("x-team", "blue"))
    assert spec.tls == Tls(server_name="model.test")
    assert read_pool(Path(spec.requests)) == [b'{"a": 1}', b'{"a": 2}']


@pytest.mark.parametrize(("host", "tls"), [("https://h:1", Tls()), ("grpcs://h:1", Tls()), ("h:1", None)])
def test_the_scheme_says_whether_it_is_encrypted(tmp_path: Path, host: str, tls: Tls | None) -> None:
    spec = spec_from_options("spike", PHASES, host, parsed("--requests", str(tmp_path / "pool")))
    assert (spec.tls, spec.target) == (tls, "h:1")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--metadata", "no-value"), "no-value"),
        (("--requests", "rows.jsonl"), "for gRPC"),
        (("--client-key", "me.key"), "belong together"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, arguments: tuple[str, ...], named: str) -> None:
    options = parsed("--ledger", str(tmp_path / "l.arrow"), "--requests", "pool", *arguments)
    with pytest.raises(ValueError, match=named):
        spec_from_options("spike", PHASES, "h:1", options)
