"""The command that conducts one disaster-recovery drill.

Rule: the exit code is the drill's verdict: 0 GO, 1 NO-GO, 3 NO-GO because something is unknown.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from harness.answers import drill_text
from harness.cli.telling import tell, telling_failure
from harness.cli.terminal import heal_first, json_option, load, plan_argument, relative, say
from harness.notices import of_drill
from harness.plan_drills import DEFAULTS


@click.command(short_help="Conduct one disaster-recovery drill.")
@click.argument("name", type=click.Choice(list(DEFAULTS)))
@plan_argument
@click.option(
    "--drills",
    type=click.Path(path_type=Path),
    default="drills",
    show_default=True,
    help="Folder that holds the drills; a run looks for it beside its folder of runs.",
)
@click.option("--no-backup", is_flag=True, help="Take no backups: shows what they are for.")
@json_option
def drill(name: str, plan: Path, drills: Path, *, no_backup: bool, as_json: bool) -> int:
    """Conduct the drill NAME for the service of PLAN; the exit code is its verdict.

    The drill starts zones of its own, sends load, makes the disaster, takes the way back, and measures RTO (until the
    objectives are met under load) and RPO (which acknowledged requests are missing). Its folder holds the sealed
    evidence, the verdict in drill.json, and the draft of a postmortem.
    """
    from rich.console import Console  # noqa: PLC0415 - slow to import, as is what follows

    from harness.drills.conduct import POSTMORTEM, conduct  # noqa: PLC0415 - collectors are slow to import
    from harness.progress import progress_on  # noqa: PLC0415 - the same

    loaded, now = load(plan), dt.datetime.now(tz=dt.UTC)
    if loaded.plan.target.provider != "local":
        raise click.UsageError('a drill needs a target that gonogo starts itself: provider = "local"')
    heal_first()
    with telling_failure(loaded), progress_on(Console(stderr=as_json)) as progress:
        done = conduct(name, loaded, drills, with_backup=not no_backup, progress=progress, now=now)
    text = drill_text(done.document, relative(done.folder / POSTMORTEM))
    say(done.document | {"folder": str(done.folder)}, text, as_json=as_json)
    tell(loaded, of_drill(done.document, loaded.plan.service.name, str(done.folder)), done.folder)
    return int(done.document["exit_code"])
