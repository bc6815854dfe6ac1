"""`gonogo schedule` prints what was asked for, and says what is wrong with a call."""

from __future__ import annotations

import pytest

from harness.cli import run_cli
from harness.schedules import FORMATS

AT = ["schedule", "--cron", "0 3 * * 1", "--image", "registry.example/gonogo:1"]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_prints_the_command(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli([*AT, "--format", kind, "--command", "drill", "--name", "data_loss"]) == 0
    printed = capsys.readouterr().out
    for word in ("drill", "data_loss", "readiness.toml", "gonogo-drill-data-loss"):
        assert word in printed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--command", "drill"], "--name says which drill"),
        (["--name", "data_loss"], "--name says which drill"),
        (["--command", "drill", "--name", "data_loss", "--profile", "quick"], "leave --profile out"),
        (["--cron", "@daily"], "five fields"),
        (["--image", ""], "image: '' must be"),
        (["--command", "drill", "--name", "x; rm"], "name: 'gonogo-drill-x; rm' must be"),
        (["--command", "init"], "'init' is not one of"),
    ],
)
def test_a_wrong_call_is_told_what_is_wrong(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli([*AT, "--format", "k8s", *options]) == 2
    assert said in capsys.readouterr().err
