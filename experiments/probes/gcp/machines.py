"""Reads the instances of a zone that carry the allow-list's label, and whether they run.

Rule: see `experiments.probes.gcp`. SUSPENDED is Compute Engine's word for a machine whose memory is put away: it
answers nothing, and its addresses stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chaoslib.exceptions import ActivityFailed
from google.api_core.exceptions import NotFound
from google.cloud import compute_v1

from experiments.cloud import calls, journal
from experiments.cloud.allow_list import address, allow_list
from experiments.cloud.reading import COMPUTE, compute_client, finished, told

if TYPE_CHECKING:
    from collections.abc import Sequence

FAULT = "vm_zone_freeze"
ABSENT = "(there is none)"


def zone_path(project: str, zone: str) -> str:
    """The address of the instances of a zone."""
    return address("projects", project, "zones", zone, "instances")


def labelled_machines(project: str, zone: str) -> dict[str, str]:
    """The status of every instance of the zone that carries the label, by name. Raises Refused for another place."""
    allowed, path = allow_list(), zone_path(project, zone)
    allowed.place(path, zone)
    key, _, value = allowed.label.partition("=")
    calls.reading("GET", f"{COMPUTE}/{path}")
    client = compute_client(compute_v1.InstancesClient)
    with told(path):
        found = list(client.list(project=project, zone=zone, timeout=calls.CALL_S))
    return {machine.name: machine.status for machine in found if machine.labels.get(key) == value}


def every_machine_runs(project: str, zone: str) -> bool:
    """Whether the zone has a labelled instance, and each runs."""
    return set(labelled_machines(project, zone).values()) == {"RUNNING"}


def zone_is_frozen(project: str, zone: str, limit_s: float = 120.0) -> dict[str, Any]:
    """Wait until each instance that the fault was meant for is suspended; records `fault_in_place`."""
    names = _meant(project, zone)
    path = zone_path(project, zone)
    journal.until(lambda: _all_are("SUSPENDED", project, zone, names), limit_s, f"{path}: not all of {names} suspended")
    seen_ns = journal.in_place(FAULT, zone, "the instances' own status", machines=names)
    return {"machines": names, "seen_ns": seen_ns}


def zone_stays_frozen(project: str, zone: str) -> bool:
    """Each is still suspended; raises when one runs again, or is gone, by itself."""
    names = _meant(project, zone)
    if not _all_are("SUSPENDED", project, zone, names) and not calls.dry_run():
        raise ActivityFailed(f"{zone_path(project, zone)}: not all of {names} stayed suspended")
    return True


def zone_runs(project: str, zone: str, limit_s: float = 120.0) -> dict[str, Any]:
    """Wait until each instance that the fault was meant for runs; records `fault_removed`."""
    return prove_running(project, zone, _meant(project, zone), limit_s)


def prove_running(project: str, zone: str, names: Sequence[str], limit_s: float) -> dict[str, Any]:
    """The same, told which. An operation that is still under way could suspend one yet: none may be.

    One that no longer exists (a group of instances replaced it) is frozen no longer; it is named.
    """
    path = zone_path(project, zone)

    def all_run() -> bool:
        statuses = {status_of(project, zone, name) for name in names}
        return statuses <= {"RUNNING", ABSENT} and all(finished(f"{path}/{name}") for name in names)

    journal.until(all_run, limit_s, f"{path}: not all of {list(names)} run, or some are still changing")
    absent = [name for name in names if status_of(project, zone, name) == ABSENT]
    seen_ns = journal.gone(FAULT, zone, path, "the instances' own status", machines=list(names), absent=absent)
    return {"machines": list(names), "absent": absent, "seen_ns": seen_ns}


def _meant(project: str, zone: str) -> list[str]:
    return list(journal.kept(FAULT, zone, zone_path(project, zone))["machines"])


def _all_are(status: str, project: str, zone: str, names: Sequence[str]) -> bool:
    return all(status_of(project, zone, name) == status for name in names)


def status_of(project: str, zone: str, name: str) -> str:
    """What an instance says of itself; ABSENT when there is none. Raises ActivityFailed."""
    path = f"{zone_path(project, zone)}/{name}"
    calls.reading("GET", f"{COMPUTE}/{path}")
    client = compute_client(compute_v1.InstancesClient)
    with told(path):
        try:
            return str(client.get(project=project, zone=zone, instance=name, timeout=calls.CALL_S).status)
        except NotFound:
            return ABSENT
