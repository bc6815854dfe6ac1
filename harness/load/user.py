"""The Locust user that drives an open-loop load: one user, however high the rate.

Rule: Locust keeps its command line, statistics, CSV, HTML and web pages; the engine on its native thread keeps the
time. Rows come to Locust in batches after they were recorded, so that showing them cannot delay a request.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import gevent
from gevent import monkey
from grpc import StatusCode
from locust import User, events, task
from locust.exception import StopUser
from locust.stats import CSV_STATS_INTERVAL_SEC

from harness.load.options import Option, add_options, spec_from_options
from harness.load.spec import LoadSpec
from harness.model import Status

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from harness.load.generator import Generator
    from harness.load.recorder import Row
    from harness.load.spec import Phase

SPEC_VARIABLE = "GONOGO_LOAD_SPEC"
"""Environment variable naming the specification's JSON file; without it, a scenario is made from its options."""
UNPATCHED_VARIABLE = "LOCUST_SKIP_MONKEY_PATCH"
"""Locust's own variable: asyncio gRPC hangs in a process that gevent has patched."""
REPORT_S = 0.1
CHUNK = 50
"""Rows shown to Locust in one go, about half a millisecond of the GIL."""

_CODES = {code.value[0]: code.name for code in StatusCode} | {
    Status.OPEN_AT_CUTOFF: "open at cut-off",
    Status.CAP_FULL: "not sent: too many open requests",
    Status.GENERATOR_LATE: "not sent: the generator fell behind",
}

logger = logging.getLogger(__name__)


class RequestFailed(Exception):  # noqa: N818 - shown by Locust as the failure's text
    """A request that was not answered OK, as Locust's statistics show it."""


class OpenLoopUser(User):
    """A scenario: subclass it with a name, options of its own, and the phases that they make."""

    abstract = True
    fixed_count = 1
    scenario: ClassVar[str]
    options: ClassVar[tuple[Option, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Offer the scenario's options on Locust's command line."""
        super().__init_subclass__(**kwargs)
        text = sys.modules[cls.__module__].__doc__ or ""
        listener = functools.partial(_prepare_command, cls.options, text)
        events.init_command_line_parser.add_listener(listener)  # type: ignore[no-untyped-call] # Locust's

    @staticmethod
    def phases(options: argparse.Namespace) -> tuple[Phase, ...]:
        """The phases of the load, from the parsed options."""
        raise NotImplementedError

    @task
    def drive(self) -> None:
        """Run the whole load, then end Locust: at once when headless, back to its pages otherwise."""
        self.environment.process_exit_code = 1  # until the ledger is whole, whatever ends this process
        try:
            self._drive(self._specification())
        except Exception:
            logger.exception("the load could not be run")
        if self.environment.parsed_options.csv_prefix:
            gevent.sleep(2 * CSV_STATS_INTERVAL_SEC)  # Locust writes no CSV at the end, only every so often before it
        runner = self.environment.runner
        (runner.stop if self.environment.web_ui else runner.quit)()
        raise StopUser

    def _specification(self) -> LoadSpec:
        if path := os.environ.get(SPEC_VARIABLE):
            return LoadSpec.from_json(Path(path).read_text(encoding="utf-8"))
        if not self.host:
            raise ValueError("no target: give --host HOST:PORT")
        options = self.environment.parsed_options
        return spec_from_options(self.scenario, self.phases(options), self.host, options)

    def _drive(self, spec: LoadSpec) -> None:
        from harness.load.generator import Generator  # noqa: PLC0415 - heavy, and of no use before a re-execution

        generator = Generator(spec)
        generator.start()
        try:
            while generator.running:
                self._show(generator, spec)
                gevent.sleep(REPORT_S)
        finally:
            generator.stop()
            self._show(generator, spec)
        if generator.error is not None:
            raise generator.error
        logger.info("ledger %s: %s", spec.ledger, generator.summary)
        if generator.summary["finished"]:
            by_failures = None  # Locust's own rule: it fails when a request failed
            self.environment.process_exit_code = 0 if SPEC_VARIABLE in os.environ else by_failures

    def _show(self, generator: Generator, spec: LoadSpec) -> None:
        """Count in Locust's statistics what was recorded since the last time."""
        epoch_ns = time.time_ns() - time.monotonic_ns() + spec.zero_ns
        while rows := generator.take():
            for start in range(0, len(rows), CHUNK):
                self._count(rows[start : start + CHUNK], spec.method.rpartition("/")[2], epoch_ns)
                gevent.sleep(0)

    def _count(self, rows: Sequence[Row], name: str, epoch_ns: int) -> None:
        for row in rows:
            self.environment.events.request.fire(
                request_type="grpc",
                name=name,
                response_time=None if row.done_ns is None else (row.done_ns - row.intended_ns) / 1e6,
                response_length=row.response_bytes,
                response=None,
                context={},
                exception=None if row.status == Status.OK else RequestFailed(_CODES.get(row.status, str(row.status))),
                start_time=(epoch_ns + row.intended_ns) / 1e9,
                url=None,
            )


def _prepare_command(options: tuple[Option, ...], text: str, parser: argparse.ArgumentParser, **_: Any) -> None:
    """Add the options; but first, in a process that gevent has patched, start Locust over without that.

    Only the `locust` command makes a parser, so importing a scenario never re-executes anything.
    """
    if monkey.is_module_patched("threading"):
        os.environ[UNPATCHED_VARIABLE] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the same command again
    add_options(parser, options, text)
