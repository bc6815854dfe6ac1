"""The commands that back up what a service must not lose, check a backup, and restore from it.

Rule: exit 0 means that it was done, 1 that it was refused or failed, with the reason. Until interrupted, a failed
backup is told and the next one tried.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.backup import BackupError, source_of, take
from harness.cli.terminal import complain, json_option, load, relative, say

if TYPE_CHECKING:
    from harness.backup import Source

SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
plan_option = click.option(
    "--plan",
    type=click.Path(path_type=Path),
    default="readiness.toml",
    show_default=True,
    help="The Plan of the service.",
)
state_option = click.option(
    "--state",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the zones' state, one folder a zone.",
)
folder_argument = click.argument("folder", type=click.Path(path_type=Path))


@click.group(invoke_without_command=True, short_help="Back up, check and restore state and models.")
@plan_option
@click.option("--state", type=click.Path(path_type=Path), help="Folder of the zones' state, one folder a zone.")
@click.option("--registry", type=click.Path(path_type=Path), help="The models; by default the Plan's registry.")
@click.option("--to", type=click.Path(path_type=Path), help="Folder of the backups.")
@click.option("--every", default="", metavar="TIME", help="Again and again until interrupted: 2s, 5m, 1h.")
@click.option("--keep", type=click.IntRange(1), default=20, show_default=True, help="Backups that stay.")
@json_option
@click.pass_context
def backup(
    context: click.Context,
    *,
    plan: Path,
    state: Path | None,
    registry: Path | None,
    to: Path | None,
    every: str,
    keep: int,
    as_json: bool,
) -> int:
    """Back up the zones' state and the models, once or --every so often.

    Every backup is a folder that is whole or not there, with a manifest that names each file by its SHA-256.
    """
    if context.invoked_subcommand is not None:
        return 0
    if state is None or to is None:
        raise click.UsageError("say what to back up and where to: --state FOLDER --to FOLDER")
    source, interval_s = source_of(load(plan), state, registry), _seconds(every)
    due = time.monotonic()
    try:
        while True:
            done = _take(source, to, keep, as_json=as_json)
            if interval_s is None:
                return 0 if done else 1
            due += interval_s  # a backup that takes longer than its interval is followed by the next one at once
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due, time.monotonic() - interval_s)
    except KeyboardInterrupt:
        return 0


@backup.command("verify")
@folder_argument
@json_option
def verify_backup(folder: Path, *, as_json: bool) -> int:
    """Check every byte of the backup in FOLDER; exit 1, with the reason, if it must not be used."""
    from harness.restore import verify  # noqa: PLC0415 - beside the other commands

    try:
        manifest = verify(folder)
    except BackupError as error:
        return _refuse(error)
    text = f"{relative(folder)}: whole; {len(manifest.files)} files of {manifest.service}, {manifest.subject}"
    say(
        {"backup": str(folder), "ok": True, "subject": manifest.subject, "taken": manifest.taken}, text, as_json=as_json
    )
    return 0


@backup.command("restore")
@folder_argument
@plan_option
@state_option
@click.option("--registry", type=click.Path(path_type=Path), help="Where the models go; without it none are restored.")
@json_option
def restore_backup(folder: Path, *, plan: Path, state: Path, registry: Path | None, as_json: bool) -> int:
    """Restore the backup in FOLDER, which must be of the Plan's service; nothing that is there is overwritten."""
    from harness.restore import restore  # noqa: PLC0415 - the same

    try:
        manifest = restore(folder, state=state, registry=registry, service=load(plan).plan.service.name)
    except BackupError as error:
        return _refuse(error)
    text = f"restored {manifest.subject}, as it was at {manifest.taken}"
    say({"restored": str(folder), "subject": manifest.subject, "taken": manifest.taken}, text, as_json=as_json)
    return 0


def _take(source: Source, to: Path, keep: int, *, as_json: bool) -> bool:
    """One backup; whether it was taken."""
    began = time.monotonic()
    try:
        folder, manifest = take(source, to, now=dt.datetime.now(tz=dt.UTC), keep=keep)
    except BackupError as error:
        complain(str(error))
        return False
    size, seconds = sum(item["bytes"] for item in manifest.files.values()), time.monotonic() - began
    text = f"{relative(folder)}  {len(manifest.files)} files, {size / 1e6:.1f} MB, {seconds:.2f} s"
    say({"backup": str(folder), "files": len(manifest.files), "bytes": size, "seconds": seconds}, text, as_json=as_json)
    return True


def _refuse(error: BackupError) -> int:
    complain(str(error))
    return 1


def _seconds(text: str) -> float | None:
    if not text:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if found is None or not float(found[1]):
        raise click.BadParameter(f"{text!r} is no time like 2s, 5m or 1h", param_hint="--every")
    return float(found[1]) * SECONDS[found[2]]
