"""A Locust worker's part of a load: takes its assignment, drives it, and ships every row to the master.

Rule: the ledger is written here first and shipped from the file, whole batches in order, so what was recorded is sent
even when the load breaks; the summary goes last, when everything before it has gone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
from gevent.queue import Empty, SimpleQueue

from harness.load.driver import drive
from harness.load.messages import ASSIGN, BEGIN, CHUNK, CLOCK, READY, SUMMARY, Clock, clock_of
from harness.load.null_server import OWN, null_server
from harness.load.spec import LoadSpec

if TYPE_CHECKING:
    from harness.load.generator import Generator

EXCHANGES = 10
EXCHANGE_LIMIT_S = 5.0
BEGIN_LIMIT_S = 120.0
CHUNK_BYTES_MAX = 4 << 20
REPORT_LIMIT_S = 10.0
"""Locust's workers report every three seconds; the last report must be out before the load is called done."""

logger = logging.getLogger(__name__)


class WorkerPart:
    """Listens for an assignment on `environment`'s runner, and does it once."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._clock: SimpleQueue[tuple[int, int, int]] = SimpleQueue()
        self._begin: SimpleQueue[int] = SimpleQueue()
        self._generator: Generator | None = None
        self._shipped = self._chunks = self._reports = 0
        runner = environment.runner
        runner.register_message(CLOCK, self._on_clock)
        runner.register_message(BEGIN, lambda environment, msg: self._begin.put(msg.data["start_ns"]))  # noqa: ARG005
        runner.register_message(ASSIGN, self._on_assign, concurrent=True)
        environment.events.report_to_master.add_listener(self._on_report)
        environment.events.test_stop.add_listener(self._on_stop)

    def _on_clock(self, environment: Any, msg: Any) -> None:
        del environment
        self._clock.put((msg.data["sent_ns"], msg.data["master_ns"], time.monotonic_ns()))

    def _on_report(self, client_id: str, data: dict[str, Any]) -> None:
        del client_id, data
        self._reports += 1

    def _on_stop(self, environment: Any, **_: Any) -> None:
        del environment
        if self._generator is not None and self._generator.running:
            self._generator.stop(0.0)  # the loop below ships what is left

    def _on_assign(self, environment: Any, msg: Any) -> None:
        del environment
        folder, spec = Path(tempfile.mkdtemp(prefix="gonogo-worker-")), LoadSpec.from_json(msg.data["spec"])
        try:
            with null_server(list) if spec.target == OWN else contextlib.nullcontext() as server:
                reached = spec if server is None else dataclasses.replace(spec, target=server.address)
                self._work(reached, msg.data["worker"], msg.data["pool"], folder)
        except Exception as error:
            logger.exception("the load could not be run")
            self._send(READY, worker=msg.data["worker"], connected=0, error=f"{type(error).__name__}: {error}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _work(self, assigned: LoadSpec, worker: int, pool: bytes, folder: Path) -> None:
        from harness.load.generator import Generator  # noqa: PLC0415 - heavy, and only now of use

        (folder / "requests.pool").write_bytes(pool)
        own = {"requests": str(folder / "requests.pool"), "ledger": str(folder / "ledger.arrow"), "timeline": ""}
        spec = dataclasses.replace(assigned, **own)  # type: ignore[arg-type]  # all three are text
        generator = self._generator = Generator(spec, worker, self._compare_clocks())
        self._shipped = self._chunks = 0
        generator.start()
        while not generator.prepared.done():
            gevent.sleep(0.01)
        self._send(READY, worker=worker, connected=generator.prepared.result(), error="")
        try:
            generator.begin(self._begin.get(timeout=BEGIN_LIMIT_S))
            drive(generator, self._environment, also=lambda: self._ship(generator))
        finally:
            generator.stop()
        self._ship(generator)
        self._wait_for_report()
        self._send(SUMMARY, worker=worker, summary=generator.summary)

    def _compare_clocks(self) -> Clock:
        exchanges = []
        for _ in range(EXCHANGES):
            self._send(CLOCK, sent_ns=time.monotonic_ns())
            try:
                exchanges.append(self._clock.get(timeout=EXCHANGE_LIMIT_S))
            except Empty:
                break
        if not exchanges:
            raise TimeoutError("the master did not tell its time")
        return clock_of(exchanges)

    def _ship(self, generator: Generator) -> None:
        """Send what was written since the last time; only whole batches count as written."""
        written = generator.recorder.written if generator.recorder else 0
        if written <= self._shipped:
            return
        with generator.path.open("rb") as stream:
            stream.seek(self._shipped)
            while self._shipped < written:
                data = stream.read(min(CHUNK_BYTES_MAX, written - self._shipped))
                self._send(CHUNK, worker=generator.worker, number=self._chunks, data=data)
                self._shipped += len(data)
                self._chunks += 1

    def _wait_for_report(self) -> None:
        """Wait until Locust has reported what was counted last: the master ends the test when it has the summary."""
        seen, deadline = self._reports, time.monotonic() + REPORT_LIMIT_S
        while self._reports == seen and time.monotonic() < deadline:
            gevent.sleep(0.05)

    def _send(self, kind: str, **data: Any) -> None:
        self._environment.runner.send_message(kind, data)
