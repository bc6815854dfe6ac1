"""What metrics look at when they are asked, besides what they count: the state of the parts.

Rule: reads only, and each reading is one attribute of a part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_service.telemetry.drift import Drift

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reference_service.auth.tls import ServerIdentity
    from reference_service.calls import FrontDoor
    from reference_service.http2.server import Server
    from reference_service.overload import Admission
    from reference_service.serving import ServedModels
    from reference_service.telemetry.metrics import Metrics
    from reference_service.telemetry.predictions import PredictionLog


def watch(
    metrics: Metrics,
    models: ServedModels,
    *,
    admission: Admission,
    door: FrontDoor,
    identity: ServerIdentity | None,
    predictions: PredictionLog,
) -> None:
    """Have `metrics` read these parts whenever Prometheus asks."""

    def info() -> dict[str, str]:
        version = models.current.version
        return {
            "name": version.name, "version": version.version, "digest": version.digest,
            "engine": models.current.engine.name,
        }  # fmt: skip

    def queued_rows() -> float:
        batcher = models.current.batcher
        return batcher.queued_rows if batcher else 0

    metrics.info = info
    metrics.gauges["inferences_in_hand"] = ("Inferences admitted and not yet ended.", lambda: admission.in_flight)
    metrics.gauges["queue_rows"] = ("Rows that wait for the engine.", queued_rows)
    dropped = ("Predictions not recorded: too many at once, or the disk failed.", lambda: predictions.dropped)
    metrics.gauges["predictions_dropped"] = dropped
    if identity:
        left = ("Seconds until the server's certificate expires.", identity.seconds_left)
        metrics.gauges["certificate_expiry_seconds"] = left
    if door.quota:
        quota = door.quota
        metrics.by_label["quota_used"] = ("Inferences of today, by client.", "client", lambda: quota.used)


def watch_server(metrics: Metrics, server: Server) -> None:
    """Have `metrics` read what is open and held, and what was refused before it came to an inference."""
    counts = server.counts
    metrics.gauges["connections"] = ("Connections open.", lambda: len(server.connections))
    metrics.gauges["calls_open"] = ("Calls open, of every kind.", lambda: counts.calls)
    metrics.gauges["held_bytes"] = ("Bytes of messages not whole, not begun or not read.", lambda: counts.held_bytes)
    refused = "Connections and calls refused before a handler saw them, by reason."
    metrics.by_label["transport_refusals"] = (refused, "reason", lambda: counts.refused)


def watch_drift(metrics: Metrics, models: ServedModels, drifts: Mapping[str, Drift]) -> None:
    """Have `metrics` read the drift of the version that is current."""

    def read(what: Callable[[Drift], dict[str, float]]) -> Callable[[], dict[str, float]]:
        def reading() -> dict[str, float]:
            drift = drifts.get(models.current.contract.version)
            return what(drift) if drift else {}

        return reading

    index = "Population stability index of the latest rows against the training data; NaN while they are too few."
    outside = "Share of the latest rows outside the range seen in training."
    metrics.by_label["drift_psi"] = (index, "column", read(Drift.psi))
    metrics.by_label["drift_outside_share"] = (outside, "column", read(Drift.outside))
