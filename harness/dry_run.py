"""Finds out which calls an experiment on Google Cloud would make, by running it with all that writes switched off.

Rule: only experiments whose every activity is ours and obeys a dry run are run; any other file is refused unread by
Chaos Toolkit, because it would do what it says.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.fleet.tether import tethered

if TYPE_CHECKING:
    from collections.abc import Iterator

OBEDIENT = ("experiments.actions.gcp.", "experiments.probes.gcp.")
ROLLBACK = "experiments.cloud.journal"
LIMIT_S = 300.0
"""For all of it: nothing is waited for but reads, each of which has a limit of its own."""
NO_PAUSES = {"GONOGO_BEFORE_S": "0", "GONOGO_HOLD_S": "0", "GONOGO_AFTER_S": "0"}
ROOT = Path(__file__).resolve().parents[1]


class DryRunError(Exception):
    """The file is no experiment that can be run dry, or the run of it left nothing; the text says what to do."""


def dry_run(path: Path, allow: Path | None = None) -> dict[str, Any]:
    """Run the experiment in `path` dry, under the allow-list `allow` (else the environment's). Raises DryRunError.

    Returns {"experiment", "would_run": every step could be told and nothing is refused, "steps": [{"name", "failure",
    "calls": [{"write", "method", "url", "body", "by"?}]}]}, in the order in which they would happen.
    """
    experiment = _checked(path)
    with tempfile.TemporaryDirectory(prefix="gonogo-dry-run-") as folder:
        record, journal = Path(folder, "calls.jsonl"), Path(folder, "journal.json")
        record.touch()
        variables = NO_PAUSES | {"GONOGO_DRY_RUN": str(record)} | ({"GONOGO_GCP_ALLOW": str(allow)} if allow else {})
        output = _run(path, journal, variables)
        try:
            ran = json.loads(journal.read_text())
            calls = [json.loads(line) for line in record.read_text().splitlines()]
        except (OSError, ValueError) as error:
            raise DryRunError(f"the dry run of {path} ended without a journal:\n{output[-2000:]}") from error
    steps = [_step(one, calls) for one in _activities(ran)]
    asked = len(experiment["method"])
    would_run = len(ran["run"]) == asked and not any(step["failure"] for step in steps)
    return {"experiment": experiment["title"], "would_run": would_run, "steps": steps}


def text(report: dict[str, Any]) -> str:
    """The report for people: each step with its calls, those that write in capitals."""
    lines = [report["experiment"]]
    for step in report["steps"]:
        lines.append(f"{step['name']}" + (f": {step['failure']}" if step["failure"] else ""))
        lines += [_line(call) for call in step["calls"]]
    written = sum(call["write"] for step in report["steps"] for call in step["calls"])
    would = "it would run" if report["would_run"] else "it would NOT run to its end"
    return "\n".join([*lines, f"{written} calls would write; none was sent; {would}"])


def _line(call: dict[str, Any]) -> str:
    verb = "  WRITE" if call["write"] else "  read "
    body = f" {json.dumps(call['body'], sort_keys=True)}" if call["body"] else ""
    reason = f" (allowed by {call['by']})" if call.get("by") else ""
    return f"{verb} {call['method']} {call['url']}{body}{reason}"


def _checked(path: Path) -> dict[str, Any]:
    try:
        experiment: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DryRunError(f"{path} can't be read as an experiment: {error}") from error
    for provider in _providers(experiment):
        module = str(provider.get("module", ""))
        if provider.get("type") != "python" or not (module.startswith(OBEDIENT) or module == ROLLBACK):
            raise DryRunError(
                f"{path} would really be run: {module or provider.get('type')!r} does not obey a dry run; "
                "only experiments of experiments/gcp do"
            )
    return experiment


def _providers(part: Any) -> Iterator[dict[str, Any]]:
    """Every provider anywhere in an experiment: of activities, controls and configuration."""
    if isinstance(part, dict):
        if isinstance(part.get("provider"), dict):
            yield part["provider"]
        for value in part.values():
            yield from _providers(value)
    elif isinstance(part, list):
        for value in part:
            yield from _providers(value)


def _run(path: Path, journal: Path, variables: dict[str, str]) -> str:
    folder = journal.parent
    command = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "--settings", str(folder / "chaos.yaml")]
    command += ["--log-file", str(folder / "chaos.log"), "run", "--rollback-strategy", "always"]
    command += ["--journal-path", str(journal), str(path.resolve())]
    search = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | variables | {"PYTHONPATH": search}
    try:
        done = subprocess.run(
            tethered(command), capture_output=True, text=True, env=environment, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DryRunError(f"the dry run of {path} did not end within {LIMIT_S:.0f} s") from error
    return done.stdout + done.stderr


def _activities(journal: dict[str, Any]) -> list[dict[str, Any]]:
    states = [journal.get("steady_states", {}).get(moment) or {} for moment in ("before", "after")]
    before, after = (state.get("probes", []) for state in states)
    return [*before, *journal.get("run", []), *after, *journal.get("rollbacks", [])]


def _step(run: dict[str, Any], calls: list[dict[str, Any]]) -> dict[str, Any]:
    """One activity with the calls that were made between its start and its end."""
    start, end = (dt.datetime.fromisoformat(run[key]).replace(tzinfo=dt.UTC).timestamp() for key in ("start", "end"))
    failure = "".join(run.get("exception") or [])
    last = failure.strip().splitlines()[-1] if failure.strip() else ""
    if not last and run.get("tolerance_met") is False:
        last = "the steady state is not met"
    mine = [
        {key: value for key, value in call.items() if key != "at_unix_s"}
        for call in calls
        if start <= call["at_unix_s"] <= end
    ]
    return {"name": run["activity"]["name"], "failure": last, "calls": mine}
