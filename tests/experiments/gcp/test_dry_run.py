"""A dry run tells the very calls that the real run then makes, and sends none that writes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.experiments.gcp.cases import CASES, Case, zone_out_of_load_balancer
from tests.experiments.gcp.running import LIMIT_S, ROOT

if TYPE_CHECKING:
    from tests.experiments.gcp.fake import Call, FakeCloud
    from tests.experiments.gcp.running import Runner

ALL = [pytest.param(build, marks=[] if build is zone_out_of_load_balancer else [pytest.mark.long]) for build in CASES]


CREDENTIALS = ("oauth2.googleapis.com/", "iamcredentials.googleapis.com/")
"""Where Google's library gets its tokens, and asks where they are valid."""


def _gonogo(runner: Runner, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness.cli", "gcp", "dry-run", *arguments]
    return subprocess.run(
        command, env=runner.variables, capture_output=True, text=True, timeout=LIMIT_S, check=False, cwd=ROOT
    )


def _file(case: Case) -> str:
    return str(ROOT / "experiments" / "gcp" / f"{case.name}.json")


def _told(report: dict[str, Any], *, write: bool) -> list[tuple[str, str, Any]]:
    calls = [call for step in report["steps"] for call in step["calls"] if call["write"] is write]
    return [(call["method"], _place(call["url"]), _stable(call["body"])) for call in calls]


def _made(calls: list[Call]) -> list[tuple[str, str, Any]]:
    return [(call.method, call.url, _stable(call.body)) for call in calls]


def _place(url: str) -> str:
    """A URL as the fake records it: without scheme and query, the cluster by its name."""
    bare = url.removeprefix("https://").partition("?")[0]
    return "kubernetes/" + bare.partition("/")[2] if bare.startswith("127.0.0.1:") else bare


def _stable(body: Any) -> Any:
    """Without what the first write changes: marks by which the second is not taken for a stale one."""
    return {key: body[key] for key in body if key not in {"etag", "fingerprint"}} if isinstance(body, dict) else body


@pytest.mark.parametrize("build", ALL, ids=lambda build: build.__name__)
def test_what_it_tells_is_what_is_done(build: Any, cloud: FakeCloud, runner: Runner) -> None:
    case: Case = build(cloud, runner)
    done = _gonogo(runner, _file(case), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    read = [call for call in cloud.calls if not call.url.startswith(CREDENTIALS)]
    assert not cloud.writes()
    assert not runner.open_faults()
    assert _told(report, write=False) == _made(read), "every read is told too"

    runner.chaos(case.name)
    assert _told(report, write=True) == _made(cloud.writes())


def test_without_an_allow_list_it_says_that_it_would_be_refused(cloud: FakeCloud, runner: Runner) -> None:
    case = zone_out_of_load_balancer(cloud, runner)
    del runner.variables["GONOGO_GCP_ALLOW"]
    done = _gonogo(runner, _file(case))
    assert done.returncode == 1
    assert "no allow-list" in done.stdout
    assert "it would NOT run to its end" in done.stdout
    assert not cloud.writes()


def test_a_file_that_would_really_be_run_is_refused(runner: Runner) -> None:
    done = _gonogo(runner, str(ROOT / "experiments" / "local" / "zone_crash.json"))
    assert done.returncode == 2
    assert "does not obey a dry run" in done.stderr
