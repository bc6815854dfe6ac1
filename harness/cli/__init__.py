"""The command line of gonogo.

Rule: the only place that prints, prompts or exits. Exit codes: 0 GO, 1 NO-GO, 3 NO-GO because something is unknown,
2 the Plan or the call is wrong, 70 a bug of gonogo's, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

import click

from harness.cli.backup import backup
from harness.cli.drill import drill
from harness.cli.exporting import export, manifests
from harness.cli.fleet import fleet
from harness.cli.gcp import gcp
from harness.cli.planning import check, doctor, init
from harness.cli.running import collect, judge, report, run
from harness.cli.scheduling import schedule
from harness.cli.terminal import EXIT_BUG, EXIT_INTERRUPTED, EXIT_USAGE, FORESEEN, complain

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gonogo")
def cli() -> None:
    """Prove that an ML inference service is ready to launch, or find out why it is not.

    gonogo loads the service, breaks it, compares its next version in shadow, rolls it back, and writes a report that
    says GO or NO-GO. Start with: gonogo run reference_service/readiness.toml
    """


for command in (
    run,
    collect,
    judge,
    report,
    init,
    check,
    doctor,
    fleet,
    gcp,
    export,
    manifests,
    backup,
    drill,
    schedule,
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    sys.exit(run_cli(sys.argv[1:] if arguments is None else list(arguments)))


def run_cli(arguments: list[str]) -> int:
    """Run one command and return its exit code; every way to fail ends here."""
    with contextlib.suppress(ValueError):  # not on the main thread: a test
        signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        code = cli.main(arguments, prog_name="gonogo", standalone_mode=False)
    except BaseException as error:  # noqa: BLE001 - the last line of defence: a bug must not look like a verdict
        return _exit_code(error)
    return code if isinstance(code, int) else 0


def _exit_code(error: BaseException) -> int:
    """Say what went wrong and choose the code that says whose fault it was."""
    match error:
        case SystemExit():
            complain("the output could not be written to its end: take no verdict from it")
            return EXIT_BUG
        case KeyboardInterrupt() | click.Abort():
            complain("interrupted: all that was started has been stopped; the run is unfinished and proves nothing")
            return EXIT_INTERRUPTED
        case click.ClickException():
            error.show()
            return EXIT_USAGE
        case _ if isinstance(error, FORESEEN):
            complain(str(error))
            return EXIT_USAGE
        case _:
            complain("this is a bug of gonogo's, not a verdict\n" + "".join(traceback.format_exception(error)))
            return EXIT_BUG


def _as_interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt
