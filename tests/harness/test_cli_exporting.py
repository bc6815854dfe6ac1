"""What is written for other tools arrives whole, and a wrong call is told in words of the call."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
import yaml

from harness.cli import run_cli
from tests.golden.refresh import GOLDEN

if TYPE_CHECKING:
    from pathlib import Path


def test_export_names_the_file_that_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    shutil.copytree(GOLDEN, run)
    assert run_cli(["export", str(run), "--json"]) == 0
    file = json.loads(capsys.readouterr().out)["file"]
    assert file == str(run / "ledger.hlog")
    assert (run / "ledger.hlog").read_text().startswith("#[Histogram log format")


def test_export_of_no_run_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["export", str(tmp_path)]) == 2
    assert "gonogo run" in capsys.readouterr().err


def test_manifests_are_yaml_with_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    call = ["manifests", "--scenario", "sustained", "--host", "model:8001", "--image", "registry.example/gonogo:1"]
    assert run_cli([*call, "--workers", "5", "--option", "rate=900", "--away-from", "app=model"]) == 0
    documents = list(yaml.safe_load_all(capsys.readouterr().out))
    jobs = {item["metadata"]["name"]: item for item in documents if item["kind"] == "Job"}
    assert jobs["gonogo-load-worker"]["spec"]["parallelism"] == 5
    settings = next(item for item in documents if item["kind"] == "ConfigMap")
    assert settings["data"]["OPTION_RATE"] == "900"


@pytest.mark.parametrize(
    ("changed", "named"), [(["--image", "two words"], "image"), (["--option", "rate"], "NAME=VALUE")]
)
def test_wrong_parameters_are_named(changed: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["manifests", "--scenario", "sustained", "--host", "model:8001", "--image", "registry.example/gonogo:1"]
    assert run_cli([*call, *changed]) == 2
    assert named in capsys.readouterr().err


@pytest.mark.parametrize("text", ["nowhere", "host:", ":5557", "host:port", "host:70000"])
@pytest.mark.parametrize("option", ["--worker", "--master"])
def test_an_address_that_is_none_is_refused_by_its_option(
    option: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "readiness.toml"
    shutil.copy(GOLDEN / "plan.toml", plan)
    assert run_cli(["run", str(plan), option, text, "--runs", str(tmp_path / "runs")]) == 2
    error = capsys.readouterr().err
    assert option in error
    assert "HOST:PORT" in error
