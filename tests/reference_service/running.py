"""The service as tests meet it: in this process on a thread of its own, or as the real command in a process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from reference_service.calls import FrontDoor
from reference_service.contract import Contract
from reference_service.engines.onnxruntime import make_onnxruntime_engine
from reference_service.health import Health
from reference_service.listening import Listener, start
from reference_service.loading import load_engine
from reference_service.overload import Admission
from reference_service.server import drain
from reference_service.servicer import InferenceServicer
from reference_service.serving import Served, ServedModels
from reference_service.settings import Limits
from reference_service.telemetry import PredictionLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reference_service.auth.tls import ServerIdentity
    from reference_service.registry import ModelVersion
    from reference_service.telemetry.traces import Tracer

ROOT = Path(__file__).parents[2]
LIMIT_S = 20
on_cpu = partial(make_onnxruntime_engine, threads=1)
"""How tests make engines."""


def wait_for(condition: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    """Return once `condition` holds; fail the test if it never does."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"not within {limit_s} s"
        time.sleep(0.005)


def recorded(log: Path) -> list[dict[str, Any]]:
    """Every prediction in the files of a prediction log, as they were written."""
    return [row for part in sorted(log.glob("part-*.parquet")) for row in pq.read_table(part).to_pylist()]


@dataclass
class InProcess:
    """A serving event loop on a thread; `address` is where it answers."""

    address: str
    loop: asyncio.AbstractEventLoop
    server: Any
    servicer: InferenceServicer
    health: Health

    def drain(self, notice_s: float, limit_s: float) -> Any:
        """Begin to drain; the result is a future of the thread's loop."""
        return asyncio.run_coroutine_threadsafe(
            drain(self.server, self.servicer, self.health, notice_s=notice_s, limit_s=limit_s), self.loop
        )


def servicer_of(
    version: ModelVersion,
    *,
    servicer_type: type[InferenceServicer] = InferenceServicer,
    engine: Any = None,
    predictions: PredictionLog | None = None,
    door: FrontDoor | None = None,
    tracer: Tracer | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> InferenceServicer:
    """What answers for `version`."""
    models = ServedModels(Served(Contract.of(version.manifest), engine or load_engine(version, on_cpu), version))
    log, admission = predictions or PredictionLog(None, "zone-t"), Admission(limits.in_flight_max)
    return servicer_type(models, log, "zone-t", door or FrontDoor(), admission=admission, tracer=tracer)


@contextlib.contextmanager
def in_process(
    version: ModelVersion,
    *,
    servicer_type: type[InferenceServicer] = InferenceServicer,
    engine: Any = None,
    predictions: PredictionLog | None = None,
    door: FrontDoor | None = None,
    tracer: Tracer | None = None,
    identity: ServerIdentity | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    listen: str = "127.0.0.1:0",
) -> Iterator[InProcess]:
    """Serve `version` from this process."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    door = door or FrontDoor()
    servicer = servicer_of(
        version,
        servicer_type=servicer_type,
        engine=engine,
        predictions=predictions,
        door=door,
        tracer=tracer,
        limits=limits,
    )

    async def begin() -> InProcess:
        health = Health()
        server, address = await start(servicer, health, door, Listener(listen, identity, limits))
        return InProcess(address, loop, server, servicer, health)

    running = asyncio.run_coroutine_threadsafe(begin(), loop).result(LIMIT_S)
    try:
        yield running
    finally:
        running.drain(0, 0).result(LIMIT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(LIMIT_S)
        loop.close()


@dataclass
class Process:
    """`reference-service serve` in a process of its own; `events` are the lines of its log."""

    popen: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)
    _arriving: queue.Queue[dict[str, Any] | None] = field(default_factory=queue.Queue)

    def read_log(self) -> None:
        """Parse stderr until it ends; runs on a thread, so that a full pipe never stops the service."""
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            self._arriving.put(json.loads(line))
        self._arriving.put(None)

    def await_event(self, name: str) -> dict[str, Any]:
        """The next event of that name; the test fails if the log ends or nothing comes for long."""
        while event := self._arriving.get(timeout=LIMIT_S):
            self.events.append(event)
            if event["event"] == name:
                return event
        raise AssertionError(f"no event {name!r} in {self.events}, exit code {self.popen.wait(LIMIT_S)}")


def serve_command(registry: Path, model: str, *options: str, version: str = "1", unsigned: bool = True) -> list[str]:
    command = [sys.executable, "-m", "reference_service.cli", "serve", "--registry", str(registry)]
    command += ["--model", model, "--version", version, "--listen", "127.0.0.1:0", "--zone", "zone-t"]
    return [*command, *(["--allow-unsigned"] if unsigned else []), *options]


@contextlib.contextmanager
def in_own_process(
    registry: Path, model: str, *options: str, version: str = "1", unsigned: bool = True
) -> Iterator[Process]:
    """Run the real command until the block ends; it is not ready yet when the block begins."""
    command = serve_command(registry, model, *options, version=version, unsigned=unsigned)
    with running(command) as process:
        yield process


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[Process]:
    """Run `command` until the block ends."""
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as popen:
        process = Process(popen)
        reader = threading.Thread(target=process.read_log)
        reader.start()
        try:
            yield process
        finally:
            popen.kill()
            popen.wait(LIMIT_S)
            reader.join(LIMIT_S)
