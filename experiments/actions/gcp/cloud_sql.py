"""Fails a Cloud SQL instance over to its other zone, and back.

Rule: see `experiments.actions.gcp`. Both of the instance's zones must be on the allow-list: a failover touches both.
"""

from __future__ import annotations

from typing import Any

from chaoslib.exceptions import ActivityFailed

from experiments.cloud import calls, journal, operations
from experiments.cloud.allow_list import Allowed, allow_list
from experiments.probes.gcp.cloud_sql import FAULT, can_fail_over, instance_path, prove_back, under_way


def fail_over(project: str, instance: str, limit_s: float = 120.0) -> dict[str, Any]:
    """Fail the instance over, once its zone is written down."""
    before = _described(project, instance)
    _checked(project, instance, before)
    if not can_fail_over(project, instance):
        raise ActivityFailed(f"{instance} does not run, or has no other zone to fail over to")
    path, zone = instance_path(project, instance), before["gceZone"]
    undo = {"project": project, "instance": instance, "zone": zone, "limit_s": limit_s}
    requested_ns = journal.request(FAULT, instance, path, restore_zone, **undo)
    _order(project, instance, limit_s)
    return {"from": zone, "to": before["secondaryGceZone"], "requested_ns": requested_ns}


def fail_back(project: str, instance: str, limit_s: float = 120.0) -> dict[str, Any]:
    """Fail the instance over again, if it is not where it was."""
    zone = journal.kept(FAULT, instance, instance_path(project, instance))["zone"]
    return {"changed": _return(project, instance, zone, limit_s)}


def restore_zone(project: str, instance: str, zone: str, limit_s: float = 120.0) -> dict[str, Any]:
    """The undo of `fail_over`: fail over again unless the instance is in `zone`, and see that it runs there."""
    return {"changed": _return(project, instance, zone, limit_s)} | prove_back(project, instance, zone, limit_s)


def _return(project: str, instance: str, zone: str, limit_s: float) -> bool:
    """A failover that is still under way ends first: only then is it known where the instance is."""
    journal.until(lambda: not under_way(project, instance), limit_s, f"{instance} is still changing")
    if not calls.dry_run() and _described(project, instance)["gceZone"] == zone:
        return False
    journal.removing(FAULT, instance)
    _order(project, instance, limit_s)
    return True


def _order(project: str, instance: str, limit_s: float) -> None:
    described = _described(project, instance)
    allowed = _checked(project, instance, described)
    context = {"kind": "sql#failoverContext", "settingsVersion": described["settings"]["settingsVersion"]}
    request = _instances().failover(project=project, instance=instance, body={"failoverContext": context})
    operations.finish_sql(calls.write(request, allowed), project, limit_s)


def _checked(project: str, instance: str, described: dict[str, Any]) -> Allowed:
    zones = (described.get("gceZone", ""), described.get("secondaryGceZone", ""))
    labels = described.get("settings", {}).get("userLabels", {})
    return allow_list().by_label(instance_path(project, instance), labels, *zones)


def _described(project: str, instance: str) -> dict[str, Any]:
    return calls.read(_instances().get(project=project, instance=instance))


def _instances() -> Any:
    return calls.service("sqladmin", "v1").instances()
