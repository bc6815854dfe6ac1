"""`python -m tests.controls`: each control again and again, as many times as asked; ends with a table.

Rule: each trial is a process of its own, and its result is written down before the next begins: a stopped script goes
on where it was. A trial that told nothing because the machine was busy is shown and done again, at most three times
in a row.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from tests.controls.trial import CONTROLS

ROOT = Path(__file__).parents[2]
TRIAL_LIMIT_S = 180
BUSY, BUSY_MAX = "machine was busy", 3


@click.command()
@click.option("--times", type=click.IntRange(1), default=10, show_default=True, help="Trials of each control.")
@click.option("--only", type=click.Choice(sorted(CONTROLS)), help="This control alone.")
@click.option("--record", type=click.Path(path_type=Path), default=ROOT / ".benchmarks" / "controls.jsonl",
              show_default=True, help="Where each result is added; delete it to begin anew.")  # fmt: skip
def main(*, times: int, only: str | None, record: Path) -> None:
    """Show that the harness finds nothing where nothing breaks, and what is broken where nothing protects."""
    record.parent.mkdir(parents=True, exist_ok=True)
    for name in [only] if only else sorted(CONTROLS):
        while len(_counted(record, name)) < times:
            _add(record, name)
            if _busy_in_a_row(record, name) >= BUSY_MAX:
                raise click.ClickException("the machine is too busy for a trial; end other work and start again")
    click.echo(_table(record))
    wrong = [row for name in CONTROLS for row in _counted(record, name) if not row["right"]]
    sys.exit(1 if wrong else 0)


def _add(record: Path, name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="control-") as folder:
        command = [sys.executable, "-m", "tests.controls.trial", name, folder]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TRIAL_LIMIT_S, check=False)
    if done.returncode != 0:
        raise click.ClickException(f"the trial of {name} broke:\n{done.stderr[-2000:]}")
    row = {"control": name, **json.loads(done.stdout)}
    with record.open("a") as file:
        file.write(json.dumps(row) + "\n")
    click.echo(f"{name}: {row['outcome']}: {row['reason']}", err=True)


def _rows(record: Path, name: str) -> list[dict[str, Any]]:
    lines = record.read_text().splitlines() if record.exists() else []
    return [row for row in map(json.loads, lines) if row["control"] == name]


def _counted(record: Path, name: str) -> list[dict[str, Any]]:
    return [row for row in _rows(record, name) if not _is_busy(row)]


def _is_busy(row: dict[str, Any]) -> bool:
    return row["outcome"] == "UNKNOWN" and BUSY in row["reason"]


def _busy_in_a_row(record: Path, name: str) -> int:
    rows = _rows(record, name)
    return next((count for count, row in enumerate(reversed(rows)) if not _is_busy(row)), len(rows))


def _table(record: Path) -> str:
    lines = [
        "| control | must end | did, for the right reason | trials lost to a busy machine | what was said |",
        "|---|---|---|---|---|",
    ]
    for name, control in CONTROLS.items():
        rows = _counted(record, name)
        right = sum(row["right"] for row in rows)
        said = sorted({row["reason"] for row in rows})
        busy = len(_rows(record, name)) - len(rows)
        lines.append(f"| {name} | {control.outcome} | {right} of {len(rows)} | {busy} | {'; '.join(said)} |")
    return "\n".join(lines)


main()
