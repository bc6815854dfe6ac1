"""Waits for the long-running operations that writes to Google Cloud start.

Rule: a limit in every wait, and an operation that ends with an error is an error here: an answer that the operation
was accepted, or is done, does not say that it did anything.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from chaoslib.exceptions import ActivityFailed

from experiments.cloud import calls

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_S_MIN, POLL_S_MAX = 0.2, 2.0
"""Quick at first for what ends at once, then gentle on the project's quota of reads."""


def finish_compute(operations: list[dict[str, Any]], project: str, limit_s: float) -> None:
    """Wait until operations of Compute Engine are done, within `limit_s` for all. Raises ActivityFailed."""
    api = calls.service("compute", "v1")

    def poll(operation: dict[str, Any]) -> dict[str, Any]:
        if zone := _last(operation.get("zone")):
            request = api.zoneOperations().get(project=project, zone=zone, operation=operation["name"])
        elif region := _last(operation.get("region")):
            request = api.regionOperations().get(project=project, region=region, operation=operation["name"])
        else:
            request = api.globalOperations().get(project=project, operation=operation["name"])
        return calls.read(request)

    _finish(operations, poll, limit_s)


def finish_sql(operation: dict[str, Any], project: str, limit_s: float) -> None:
    """Wait until an operation of Cloud SQL is done. Raises ActivityFailed."""
    api = calls.service("sqladmin", "v1").operations()
    _finish([operation], lambda one: calls.read(api.get(project=project, operation=one["name"])), limit_s)


def finish_run(operation: dict[str, Any], limit_s: float) -> None:
    """Wait until an operation of Cloud Run is done. Raises ActivityFailed."""
    api = calls.service("run", "v2").projects().locations().operations()
    _finish([operation], lambda one: calls.read(api.get(name=one["name"])), limit_s)


def _finish(operations: list[dict[str, Any]], poll: Callable[[dict[str, Any]], dict[str, Any]], limit_s: float) -> None:
    """All are waited for before the first error is raised: what one did is no reason to leave another unwatched."""
    if calls.dry_run():
        return
    deadline = time.monotonic() + limit_s
    failures = [failure for operation in operations if (failure := _failure(operation, poll, deadline, limit_s))]
    if failures:
        raise ActivityFailed("; ".join(failures))


def _failure(
    operation: dict[str, Any],
    poll: Callable[[dict[str, Any]], dict[str, Any]],
    deadline: float,
    limit_s: float,
) -> str:
    pause_s = POLL_S_MIN
    while not _is_done(operation):
        if time.monotonic() + pause_s > deadline:
            return f"operation {operation['name']} did not end within {limit_s} s"
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, POLL_S_MAX)
        operation = poll(operation)
    error = operation.get("error")
    return f"operation {operation['name']} failed: {_words(error)}" if error else ""


def _is_done(operation: dict[str, Any]) -> bool:
    return operation.get("status") == "DONE" or bool(operation.get("done"))


def _words(error: dict[str, Any]) -> str:
    """Compute Engine and Cloud SQL list errors, Cloud Run gives one status."""
    parts = error.get("errors") or [error]
    return ", ".join(f"{part.get('code', '?')} {part.get('message', '')}".strip() for part in parts)


def _last(url: str | None) -> str:
    return (url or "").rpartition("/")[2]
