"""A run tells whom its Plan names, whatever its verdict; and its exit code is the same whether or not they heard."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness.cli import run_cli, running
from harness.fleet.client import FleetError
from tests.harness.test_cli import _plan_text, make_run
from tests.harness.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["make_run"]  # a fixture, used by its name


def run_with(
    hook: Webhook, make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, on: str = '["always"]', **replaced: str
) -> tuple[int, Path]:
    """The exit code and the folder of `gonogo run` on a Plan that names `hook`; its evidence was collected before."""
    monkeypatch.setenv("HOOK", hook.url)
    folder = make(_plan_text(**replaced) + f'\n[[notify]]\nurl = "env:HOOK"\non = {on}\n')
    monkeypatch.setattr(running, "_collect", lambda *_, **__: folder)
    return run_cli(["run", str(folder.parents[1] / "readiness.toml")]), folder


def test_a_go_is_told_and_kept(make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with Webhook((200, {})) as hook:
        code, folder = run_with(hook, make_run, monkeypatch)
    assert code == 0
    (told,) = hook.received
    assert (told["decision"], told["exit_code"], told["folder"]) == ("GO", 0, str(folder))
    kept = json.loads((folder / "notifications.json").read_text())
    assert kept == [{"to": "env:HOOK", "format": "json", "attempts": 1, "error": ""}]


def test_a_no_go_is_told_and_a_go_is_not_where_only_that_is_wanted(
    make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Webhook((200, {})) as hook:
        assert run_with(hook, make_run, monkeypatch, on='["no-go"]')[0] == 0
        assert hook.received == []
        changed = "\nlatency_ms_p99 = 50|\nlatency_ms_p99 = 0.1"
        assert run_with(hook, make_run, monkeypatch, on='["no-go"]', latency=changed)[0] == 1
    (told,) = hook.received
    assert (told["decision"], told["exit_code"]) == ("NO-GO", 1)


def test_a_webhook_that_refuses_changes_nothing_but_is_said_without_its_address(
    make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Webhook((404, {})) as hook:
        code, folder = run_with(hook, make_run, monkeypatch)
    assert code == 0
    said = capsys.readouterr()
    assert "could not be sent to env:HOOK in 1 attempts: it answered 404" in said.err
    everywhere = said.out + said.err + "".join(path.read_text() for path in folder.glob("*.json"))
    assert "s3cret" not in everywhere


@pytest.mark.parametrize(
    ("error", "code", "headline"),
    [
        (FleetError("no zones\nmore"), 2, "No verdict: no zones"),
        (RuntimeError("x"), 70, "No verdict: a bug of gonogo's; its output says which"),
    ],
)
def test_a_run_without_a_verdict_is_told_too(
    make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, headline: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    with Webhook((200, {})) as hook:
        run_with(hook, make_run, monkeypatch, on='["go"]')
        del hook.received[:]
        path = make_run(_plan_text() + '\n[[notify]]\nurl = "env:HOOK"\n').parents[1] / "readiness.toml"
        monkeypatch.setattr(running, "_collect", fail)
        assert run_cli(["run", str(path)]) == code
    (told,) = hook.received
    assert (told["decision"], told["headline"], told["exit_code"]) == ("NO-GO", headline, code)
