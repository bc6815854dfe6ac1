"""Reads which zone a Cloud SQL instance serves from, and whether it runs.

Rule: see `experiments.probes.gcp`. `gceZone` is what the interface says; what a connection meets is not seen here.
"""

from __future__ import annotations

from typing import Any

from chaosgcp.sql.probes import describe_instance
from chaoslib.exceptions import ActivityFailed

from experiments.cloud import calls, journal
from experiments.cloud.allow_list import address
from experiments.cloud.reading import told

FAULT = "cloud_sql_failover"
SQL = "https://sqladmin.googleapis.com/v1"


def instance_path(project: str, instance: str) -> str:
    """The address of an instance behind the interface's version."""
    return address("projects", project, "instances", instance)


def described(project: str, instance: str) -> dict[str, Any]:
    """What the interface says of the instance. Raises ActivityFailed."""
    path = instance_path(project, instance)
    calls.reading("GET", f"{SQL}/{path}?alt=json")
    with told(path):
        found: dict[str, Any] = describe_instance(instance, project_id=project, configuration={})
    return found


def can_fail_over(project: str, instance: str) -> bool:
    """Whether the instance runs and has another zone to fail over to."""
    found = described(project, instance)
    is_regional = found.get("settings", {}).get("availabilityType") == "REGIONAL"
    return found.get("state") == "RUNNABLE" and is_regional and bool(found.get("secondaryGceZone"))


def other_zone_serves(project: str, instance: str, limit_s: float = 120.0) -> dict[str, Any]:
    """Wait until the instance runs in another zone than before; records `fault_in_place`."""
    zone = journal.kept(FAULT, instance, instance_path(project, instance))["zone"]

    def has_moved() -> bool:
        found = described(project, instance)
        return found.get("state") == "RUNNABLE" and found.get("gceZone") not in {zone, None}

    journal.until(has_moved, limit_s, f"{instance} does not run in another zone than {zone}")
    return {"from": zone, "seen_ns": journal.in_place(FAULT, instance, "the instance's own gceZone", left=zone)}


def other_zone_still_serves(project: str, instance: str) -> bool:
    """It still does; raises when it went back by itself."""
    zone = journal.kept(FAULT, instance, instance_path(project, instance))["zone"]
    if described(project, instance).get("gceZone") == zone and not calls.dry_run():
        raise ActivityFailed(f"{instance} went back to {zone} by itself")
    return True


def first_zone_serves(project: str, instance: str, limit_s: float = 120.0) -> dict[str, Any]:
    """Wait until the instance runs where it did before; records `fault_removed`."""
    zone = journal.kept(FAULT, instance, instance_path(project, instance))["zone"]
    return prove_back(project, instance, zone, limit_s)


def prove_back(project: str, instance: str, zone: str, limit_s: float) -> dict[str, Any]:
    """The same, told where. An operation that is still under way could move it yet: none may be."""
    path = instance_path(project, instance)

    def is_back() -> bool:
        found = described(project, instance)
        runs_there = found.get("state") == "RUNNABLE" and found.get("gceZone") == zone
        return runs_there and not under_way(project, instance)

    journal.until(is_back, limit_s, f"{path} does not run in {zone}, or is still changing")
    return {"zone": zone, "seen_ns": journal.gone(FAULT, instance, path, "the instance's own gceZone", zone=zone)}


def under_way(project: str, instance: str) -> list[str]:
    """The names of the instance's operations that are not done."""
    listed = calls.service("sqladmin", "v1").operations().list(project=project, instance=instance)
    return [one["name"] for one in calls.read(listed).get("items", []) if one["status"] != "DONE"]
