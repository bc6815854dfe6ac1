"""The Locust master's part of a distributed load: shares it out, starts it, and gathers the ledger.

Rule: the master keeps what arrives, as it arrives; whether it is whole is checked where the ledger is completed. A
worker that is lost stops nobody: what the others record is still evidence of what they saw.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent

from harness.load.announcements import Announcements
from harness.load.messages import ASSIGN, BEGIN, CHUNK, CLOCK, READY, SUMMARY
from harness.load.streams import worker_stream
from harness.load.summary import summary_path, write_summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.load.spec import LoadSpec

READY_LIMIT_S = 60.0
LEAD_S = 0.5
"""From the order to begin to the schedule's zero: every worker must have it by then."""
OVERTIME_S = 20.0
"""After the last request's deadline, how long the summaries may take: Locust's workers report every three seconds."""
MISSING_S = 5.0
"""A worker not heard of when its part should have been over by this long is lost."""
POLL_S = 0.05

logger = logging.getLogger(__name__)


class DistributionError(Exception):
    """The workers could not be brought to send the load; the text says why."""


class Conductor:
    """Conducts each test that `environment`'s master runs; `specification` says what to send, `end` is told the end."""

    def __init__(self, environment: Any, specification: Callable[[], LoadSpec], end: Callable[[bool], None]) -> None:
        self._environment, self._specification, self._end = environment, specification, end
        self._runner = environment.runner
        self._clients: list[str] = []
        self._ready: dict[int, dict[str, Any]] = {}
        self._summaries: dict[int, dict[str, Any]] = {}
        self._chunks: dict[int, int] = {}
        self._spec: LoadSpec
        for kind, listener in ((CLOCK, self._on_clock), (READY, self._on_ready), (CHUNK, self._on_chunk)):
            self._runner.register_message(kind, listener)
        self._runner.register_message(SUMMARY, self._on_summary)
        environment.events.test_start.add_listener(lambda environment, **_: gevent.spawn(self._conduct))  # noqa: ARG005

    def _conduct(self) -> None:
        whole = False
        try:
            self._share_out()
            start_ns = self._begin()
            self._wait(start_ns)
            whole = len(self._summaries) == self._spec.workers and all(
                summary["finished"] for summary in self._summaries.values()
            )
            logger.info("ledger %s: %s", self._spec.ledger, self._summaries)
        except Exception:
            logger.exception("the load could not be run")
        self._end(whole)

    def _share_out(self) -> None:
        """Give each worker its number and what it needs."""
        clients = sorted(self._runner.clients.ready, key=lambda client: self._runner.get_worker_index(client.id))
        wanted = self._specification()
        workers = wanted.workers if wanted.workers > 1 else len(clients)
        if len(clients) < workers:
            raise DistributionError(f"{len(clients)} workers are ready, the load is for {workers}; start the others")
        self._spec = dataclasses.replace(wanted, workers=workers)
        self._clients = [client.id for client in clients[:workers]]
        self._ready, self._summaries, self._chunks = {}, {}, {}
        pool = Path(self._spec.requests).read_bytes()
        for worker, client in enumerate(self._clients):
            for path in (worker_stream(self._spec, worker), summary_path(worker_stream(self._spec, worker))):
                path.unlink(missing_ok=True)  # an older load's must not be taken for this one's
            self._send(ASSIGN, client, spec=self._spec.to_json(), worker=worker, pool=pool)

    def _begin(self) -> int:
        """Wait for every worker, then order the start; returns the schedule's zero by this machine's clock."""
        deadline = time.monotonic() + READY_LIMIT_S
        while len(self._ready) < self._spec.workers and time.monotonic() < deadline:
            gevent.sleep(POLL_S)
        errors = [f"worker {worker}: {item['error']}" for worker, item in self._ready.items() if item["error"]]
        if len(self._ready) < self._spec.workers or errors:
            raise DistributionError("; ".join(errors) or f"only {len(self._ready)} of {self._spec.workers} got ready")
        start_ns = time.monotonic_ns() + round(LEAD_S * 1e9)
        for client in self._clients:
            self._send(BEGIN, client, start_ns=start_ns)
        return start_ns

    def _wait(self, start_ns: int) -> None:
        """Wait for the summary of every worker that is still there, and no longer than the load can take."""
        announcements = Announcements(self._spec, start_ns - self._spec.zero_ns)
        over_s = start_ns / 1e9 + self._spec.duration_s + self._spec.drain_s
        while len(self._summaries) < self._spec.workers and time.monotonic() < over_s + OVERTIME_S:
            announcements.tell()
            gevent.sleep(POLL_S)
            if time.monotonic() > over_s + MISSING_S and all(map(self._done_or_lost, range(self._spec.workers))):
                break
        announcements.end()

    def _done_or_lost(self, worker: int) -> bool:
        client = self._runner.clients.get(self._clients[worker])
        return worker in self._summaries or client is None or client.state == "missing"

    def _on_clock(self, environment: Any, msg: Any) -> None:
        del environment
        self._send(CLOCK, msg.node_id, sent_ns=msg.data["sent_ns"], master_ns=time.monotonic_ns())

    def _on_ready(self, environment: Any, msg: Any) -> None:
        del environment
        self._ready[msg.data["worker"]] = msg.data

    def _on_chunk(self, environment: Any, msg: Any) -> None:
        del environment
        worker = msg.data["worker"]
        if msg.data["number"] != self._chunks.get(worker, 0):
            logger.error("chunk %s of worker %s came out of turn", msg.data["number"], worker)
        self._chunks[worker] = msg.data["number"] + 1
        with worker_stream(self._spec, worker).open("ab") as stream:
            stream.write(msg.data["data"])

    def _on_summary(self, environment: Any, msg: Any) -> None:
        del environment
        worker = msg.data["worker"]
        self._summaries[worker] = msg.data["summary"]
        write_summary(worker_stream(self._spec, worker), msg.data["summary"])

    def _send(self, kind: str, client: str, **data: Any) -> None:
        self._runner.send_message(kind, data, client)
