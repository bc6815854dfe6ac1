"""The load of a run goes where the Plan says, by its protocol, with references and never with secrets."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from harness.collect import subject_of
from harness.collectors import Context
from harness.collectors.driving import load_spec
from harness.load.phases import sustained
from harness.load.spec import MODEL_INFER, LoadSpec
from harness.plan import LoadedPlan, parse_plan
from harness.plan_target import Tls
from harness.profiles import PROFILES
from harness.store import create_run
from tests.harness.collectors.test_ledger import Silent
from tests.harness.test_plan_target import GRPC, HTTP, OIP, REST

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MORE = '[target.metadata]\nx-key = "env:TEST_KEY"\n[target.tls]\nca = "ca.pem"\n'


def _spec(folder: Path, target: str) -> tuple[LoadSpec, str]:
    loaded = LoadedPlan(parse_plan(target + REST), b"", folder / "readiness.toml")
    run = create_run(folder / "runs", loaded, profile="quick", subject="s", now=dt.datetime.now(tz=dt.UTC))
    context = Context(run=run, loaded=loaded, profile=PROFILES["quick"], progress=Silent(), address="127.0.0.1:80")
    return load_spec(context, "sustained", sustained(100, 2)), subject_of(loaded)


def test_each_protocol_has_its_sender_and_method(tmp_path: Path) -> None:
    found = [_spec(tmp_path, target) for target in (OIP, GRPC, HTTP)]
    assert [(spec.protocol, spec.method) for spec, _ in found] == [
        ("grpc", MODEL_INFER),
        ("grpc", "/weather.v1.Weather/Forecast"),
        ("http", "POST /predict"),
    ]
    assert [subject for _, subject in found] == [
        "m@unknown at 127.0.0.1:80",
        "/weather.v1.Weather/Forecast@unknown at 127.0.0.1:80",
        "POST /predict@unknown at 127.0.0.1:80",
    ]


def test_a_specification_holds_the_reference_and_the_paths_but_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "s3cret")
    spec, _ = _spec(tmp_path, HTTP + MORE)
    assert spec.metadata == (("x-key", "env:TEST_KEY"),)
    assert spec.tls == Tls(ca=f"{tmp_path}/ca.pem")
    assert "s3cret" not in spec.to_json()
    assert LoadSpec.from_json(spec.to_json()) == spec
