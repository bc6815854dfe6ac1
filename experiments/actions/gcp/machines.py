"""Freezes every labelled instance of a zone by suspending it, and resumes them.

Rule: see `experiments.actions.gcp`. Each instance's labels are read again right before it is written.
"""

from __future__ import annotations

from typing import Any

from chaoslib.exceptions import ActivityFailed

from experiments.cloud import calls, journal, operations
from experiments.cloud.allow_list import allow_list
from experiments.probes.gcp.machines import FAULT, labelled_machines, prove_running, status_of, zone_path
from experiments.probes.waiting import wait

RESUMABLE, UNDER_WAY = ("SUSPENDED",), ("SUSPENDING",)


def freeze_zone(project: str, zone: str, limit_s: float = 120.0) -> dict[str, Any]:
    """Suspend every instance of the zone that carries the label, all at once, and wait for all."""
    statuses = labelled_machines(project, zone)
    if set(statuses.values()) != {"RUNNING"}:
        raise ActivityFailed(
            f"{zone_path(project, zone)}: instances that carry the label must be there and run: {statuses}"
        )
    names = sorted(statuses)
    undo = {"project": project, "zone": zone, "machines": names, "limit_s": limit_s}
    requested_ns = journal.request(FAULT, zone, zone_path(project, zone), restore_zone, **undo)
    _change("suspend", project, zone, names, limit_s)
    return {"machines": names, "requested_ns": requested_ns}


def thaw_zone(project: str, zone: str, limit_s: float = 120.0) -> dict[str, Any]:
    """Resume each instance that `freeze_zone` was meant for and that is suspended."""
    names = journal.kept(FAULT, zone, zone_path(project, zone))["machines"]
    return {"resumed": _resume(project, zone, names, limit_s)}


def restore_zone(project: str, zone: str, machines: list[str], limit_s: float = 120.0) -> dict[str, Any]:
    """The undo of `freeze_zone`: resume what of `machines` is suspended, and see that all run."""
    return {"resumed": _resume(project, zone, machines, limit_s)} | prove_running(project, zone, machines, limit_s)


def _resume(project: str, zone: str, names: list[str], limit_s: float) -> list[str]:
    frozen = names if calls.dry_run() else [name for name in names if _is_frozen(project, zone, name, limit_s)]
    if frozen:
        journal.removing(FAULT, zone)
        _change("resume", project, zone, frozen, limit_s)
    return frozen


def _is_frozen(project: str, zone: str, name: str, limit_s: float) -> bool:
    """Whether the instance is suspended, once it is no longer on its way there: only then can it be resumed."""
    wait(
        lambda: status_of(project, zone, name) not in UNDER_WAY,
        limit_s,
        f"{name} is still being suspended",
        poll_s=journal.POLL_S,
    )
    return status_of(project, zone, name) in RESUMABLE


def _change(method: str, project: str, zone: str, names: list[str], limit_s: float) -> None:
    """Order it for all before any is waited for, so that the zone changes at once; some failing holds back no other."""
    instances, begun, failures = calls.service("compute", "v1").instances(), [], []
    for name in names:
        where = {"project": project, "zone": zone, "instance": name}
        labels = calls.read(instances.get(**where)).get("labels", {})
        try:
            allowed = allow_list().by_label(f"{zone_path(project, zone)}/{name}", labels, zone)
            begun.append(calls.write(getattr(instances, method)(**where), allowed))
        except ActivityFailed as error:
            failures.append(str(error))
    operations.finish_compute(begun, project, limit_s)
    if failures:
        raise ActivityFailed("; ".join(failures))
