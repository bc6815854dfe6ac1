"""The Locust user that drives an open-loop load: one user, however high the rate.

Rule: Locust keeps its command line, statistics, CSV, HTML, web pages and workers; the engine on its native thread keeps
the time. In a distributed run the users only stand for the load, which master and workers arrange by messages.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import gevent
from gevent import monkey
from locust import User, events, task
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner
from locust.stats import CSV_STATS_INTERVAL_SEC

from harness.load.options import Option, add_options, spec_from_options
from harness.load.spec import LoadSpec

if TYPE_CHECKING:
    import argparse

    from harness.load.spec import Phase

SPEC_VARIABLE = "GONOGO_LOAD_SPEC"
"""Environment variable naming the specification's JSON file; without it, a scenario is made from its options."""
UNPATCHED_VARIABLE = "LOCUST_SKIP_MONKEY_PATCH"
"""Locust's own variable: threads and asyncio must be the real ones where the engine runs."""

logger = logging.getLogger(__name__)


class OpenLoopUser(User):
    """A scenario: subclass it with a name, options of its own, and the phases that they make."""

    abstract = True
    fixed_count = 1
    scenario: ClassVar[str]
    options: ClassVar[tuple[Option, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Offer the scenario's options on Locust's command line, and take part in distributed runs."""
        super().__init_subclass__(**kwargs)
        text = sys.modules[cls.__module__].__doc__ or ""
        prepare = functools.partial(_prepare_command, cls.options, text)
        events.init_command_line_parser.add_listener(prepare)  # type: ignore[no-untyped-call] # Locust's
        events.init.add_listener(functools.partial(_join, cls))  # type: ignore[no-untyped-call] # Locust's

    @staticmethod
    def phases(options: argparse.Namespace) -> tuple[Phase, ...]:
        """The phases of the load, from the parsed options."""
        raise NotImplementedError

    @task
    def drive(self) -> None:
        """Run the whole load, then end Locust: at once when headless, back to its pages otherwise."""
        if isinstance(self.environment.runner, WorkerRunner):
            gevent.sleep(float("inf"))  # Locust ends its users when the master ends the test
        whole = False
        self.environment.process_exit_code = 1  # until the ledger is whole, whatever ends this process
        try:
            whole = _run_here(specification(type(self), self.environment), self.environment)
        except Exception:
            logger.exception("the load could not be run")
        end(self.environment, whole=whole)
        raise StopUser


def specification(user: type[OpenLoopUser], environment: Any) -> LoadSpec:
    """What to send: what the environment names, or what the options of `user` make. Raises ValueError."""
    if path := os.environ.get(SPEC_VARIABLE):
        return LoadSpec.from_json(Path(path).read_text(encoding="utf-8"))
    if not environment.host:
        raise ValueError("no target: give --host HOST:PORT")
    options = environment.parsed_options
    return spec_from_options(user.scenario, user.phases(options), environment.host, options)


def end(environment: Any, *, whole: bool) -> None:
    """End the test; a load that is not whole ends Locust as a failure, a whole one by Locust's own rule."""
    if environment.parsed_options.csv_prefix:
        gevent.sleep(2 * CSV_STATS_INTERVAL_SEC)  # Locust writes no CSV at the end, only every so often before it
    by_failures = None
    environment.process_exit_code = 1 if not whole else 0 if SPEC_VARIABLE in os.environ else by_failures
    (environment.runner.stop if environment.web_ui else environment.runner.quit)()


def _run_here(spec: LoadSpec, environment: Any) -> bool:
    from harness.load.driver import drive  # noqa: PLC0415 - heavy, and of no use before a re-execution
    from harness.load.generator import Generator  # noqa: PLC0415 - the same

    generator = Generator(spec)
    generator.start()
    try:
        drive(generator, environment)
    finally:
        generator.stop()
    logger.info("ledger %s: %s", spec.ledger, generator.summary)
    return bool(generator.summary["finished"])


def _join(user: type[OpenLoopUser], environment: Any, **_: Any) -> None:
    """Take the part in a distributed run that this process has."""
    if isinstance(environment.runner, MasterRunner):
        from harness.load.conductor import Conductor  # noqa: PLC0415 - only a master needs it

        environment.process_exit_code = 1  # until the ledger is whole
        Conductor(environment, lambda: specification(user, environment), lambda whole: end(environment, whole=whole))
    elif isinstance(environment.runner, WorkerRunner):
        from harness.load.worker import WorkerPart  # noqa: PLC0415 - only a worker needs it

        WorkerPart(environment)


def _prepare_command(options: tuple[Option, ...], text: str, parser: argparse.ArgumentParser, **_: Any) -> None:
    """Add the options; but first, in a process that gevent has patched, start Locust over without that.

    Only the `locust` command makes a parser, so importing a scenario never re-executes anything. Locust itself sleeps
    by `time.sleep` while it waits for workers, which would stop its own greenlets: that alone stays patched.
    """
    if monkey.is_module_patched("threading"):
        os.environ[UNPATCHED_VARIABLE] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the same command again
    monkey.patch_time()
    add_options(parser, options, text)
