"""The life of a serving process: load, warm up, serve, drain, end.

Rule: it listens from the start, and says ready only after the engine has answered; on SIGTERM or SIGINT health says
NOT_SERVING first, then the edge gets time to see it, and only then are new calls refused and the open ones finished.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reference_service.assembly import audit_journal, certificate, front_door
from reference_service.before_ready import start_before_ready
from reference_service.engines.choice import choose_engine
from reference_service.errors import StartError
from reference_service.health import Health
from reference_service.listening import Listener, offer
from reference_service.loading import Loader
from reference_service.overload import Admission
from reference_service.repository import Repository
from reference_service.servicer import InferenceServicer
from reference_service.serving import ServedModels
from reference_service.settings import ServiceSettings
from reference_service.telemetry import PredictionLog, log_event
from reference_service.telemetry.metrics import Metrics, expose
from reference_service.telemetry.watching import watch, watch_drift, watch_server
from reference_service.trust import open_trust, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_service.calls import FrontDoor
    from reference_service.engines import Engine
    from reference_service.http2.server import Server
    from reference_service.registry import ModelVersion
    from reference_service.serving import Served
    from reference_service.telemetry.drift import Drift
    from reference_service.telemetry.traces import Tracer

SAVE_INTERVAL_S: Final = 1.0
PLANS: Final = Path.home() / ".cache" / "gonogo" / "tensorrt"
"""Where built TensorRT plans are kept unless the settings say otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one serving process is told.

    `drain_notice_s` is how long calls are still taken after health says NOT_SERVING: twice the 0.5 s between an edge's
    health checks. `drain_limit_s` bounds the wait for open calls after that.
    """

    registry: Path
    model: str
    version: str
    listen: str
    zone: str
    prediction_log: Path | None = None
    service: ServiceSettings = ServiceSettings()  # noqa: RUF009 - frozen
    threads: int = 1
    allow_unsigned: bool = False
    drain_notice_s: float = 1.0
    drain_limit_s: float = 10.0


async def serve(settings: Settings) -> None:
    """Serve until told to stop.

    Raises:
        RegistryError: the version is not there, or not what its manifest says.
        StartError: anything else that keeps the service from serving.
    """
    stop = _stop_signal()
    metrics, admission = Metrics(), Admission(settings.service.limits.in_flight_max)
    drifts: dict[str, Drift] | None = {} if settings.service.metrics else None
    loader = _loader(settings, metrics, drifts)
    predictions = _prediction_log(settings, drifts)
    tracer, audit = _tracer(settings), audit_journal(settings.service)
    metrics_address, close_metrics = _exposed(metrics, settings)
    door, health = front_door(settings.service), Health()
    identity = certificate(settings.service)

    listener = Listener(settings.listen, identity, settings.service.limits)
    server, address = await start_before_ready(listener, health)
    served = await asyncio.to_thread(loader, settings.version)
    models = ServedModels(served, loader)
    servicer = InferenceServicer(
        models,
        predictions,
        settings.zone,
        door,
        repository=Repository(models, settings.registry, settings.service.batching),
        admission=admission,
        metrics=metrics,
        tracer=tracer,
        audit=audit,
    )
    watch(metrics, models, admission=admission, door=door, identity=identity, predictions=predictions)
    watch_server(metrics, server)
    if drifts is not None:
        watch_drift(metrics, models, drifts)
    await offer(server, servicer, health, door)
    gc.freeze()  # a full collection over what start-up made takes 12 ms (measured), and would stall calls that long
    _log_ready(served, settings, address=address, metrics=metrics_address)
    writing = asyncio.ensure_future(asyncio.gather(predictions.flush_forever(), _save_forever(door)))
    await stop.wait()
    await drain(server, servicer, health, notice_s=settings.drain_notice_s, limit_s=settings.drain_limit_s)
    writing.cancel()
    if door.quota:
        door.quota.save()
    predictions.close()
    if audit:
        await asyncio.to_thread(audit.close)
    close_metrics()
    if tracer:
        await asyncio.to_thread(tracer.close)
    await models.close()
    log_event("stopped")


def _log_ready(served: Served, settings: Settings, *, address: str, metrics: str) -> None:
    version = served.version
    log_event(
        "ready", address=address, model=version.name, model_version=version.version, digest=version.digest,
        engine=served.engine.name, zone=settings.zone, pid=os.getpid(), metrics=metrics,
    )  # fmt: skip


def _loader(settings: Settings, metrics: Metrics, drifts: dict[str, Drift] | None) -> Loader:
    service = settings.service
    wanted = service.registry
    trust = open_trust(wanted.trust, wanted.state, clock=utc_now, allow_unsigned=settings.allow_unsigned)
    make_engine = partial(_engine, kind=service.engine, threads=settings.threads, plans=service.plan_cache or PLANS)
    return Loader(
        settings.registry,
        settings.model,
        trust,
        make_engine,
        service.validation,
        service.batching,
        metrics.dispatched,
        drifts,
    )


def _engine(version: ModelVersion, *, kind: str, threads: int, plans: Path) -> Engine:
    engine, why = choose_engine(kind, version, threads, plans)
    log_event("engine", model_version=version.version, chosen=why)
    return engine


def _tracer(settings: Settings) -> Tracer | None:
    if settings.service.traces is None:
        return None
    from reference_service.telemetry.traces import Tracer  # noqa: PLC0415 - slow to import, and not always needed

    return Tracer(settings.service.traces, zone=settings.zone, version=settings.version)


def _exposed(metrics: Metrics, settings: Settings) -> tuple[str, Callable[[], None]]:
    """Where metrics are to be had, empty if nowhere, and what ends that."""
    if settings.service.metrics is None:
        return "", lambda: None
    return expose(metrics, settings.service.metrics.listen)


async def drain(
    server: Server, servicer: InferenceServicer, health: Health, *, notice_s: float, limit_s: float
) -> None:
    """Say not ready, keep answering for `notice_s`, then refuse new calls and finish the open ones."""
    began = time.monotonic()
    log_event("draining", notice_s=notice_s, in_flight=servicer.in_flight)
    servicer.ready = False
    await health.enter_graceful_shutdown()
    await asyncio.sleep(notice_s)
    health.end_watches()
    await server.stop(limit_s)
    log_event("drained", seconds=round(time.monotonic() - began, 3), cut_off=servicer.in_flight)


async def _save_forever(door: FrontDoor) -> None:
    """Write down what clients have used, every second."""
    while door.quota:
        await asyncio.sleep(SAVE_INTERVAL_S)
        door.quota.save()


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _prediction_log(settings: Settings, drifts: dict[str, Drift] | None) -> PredictionLog:
    wanted = settings.service.predictions
    directory = settings.prediction_log or (wanted.directory if wanted else None)
    try:
        return PredictionLog(directory, settings.zone, wanted.ratio if wanted else 1.0, drifts)
    except OSError as error:
        raise StartError(f"predictions can't be recorded in {directory}: {error.strerror}") from error
