"""What a fleet is: its zones, the service they run, and where its files go.

Rule: pure data with a JSON round trip, because the supervisor reads it in another process.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CANDIDATE = "candidate"
"""Name of the fourth group, of its Envoy cluster, and of the route's destination."""
PRIMARY = "primary"
"""Name of the Envoy cluster with all zones, and of the route's destination."""

LOAD_CLIENT = "gonogo"
"""Name of the harness's load in credentials, limits and quotas."""

SERVICE_COMMAND = (
    "{python}",
    *("-m", "reference_service.cli", "serve"),
    *("--registry", "{registry}", "--model", "{model}", "--version", "{version}"),
    *("--listen", "{listen}", "--zone", "{zone}", "--prediction-log", "{prediction_log}"),
    *("--config", "{config}"),
)
"""How one service process is started; every placeholder that the supervisor fills is used here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSpec:
    """Zones of `processes_per_zone` processes each, all serving `version`, and a group serving `candidate` if any.

    `client_rps` is what the edge takes of any one client, `load_rps` what it takes of the harness's own load, and
    `in_flight_max` how many requests it lets the zones have at once.
    With `state`, every answer is recorded before it is given, in a folder of its own there for each zone. `edge_port`
    is the edge's own if it is not 0; `kept` is by what callers know the fleet, None if they need not know it again.
    `directory` takes logs, configurations and prediction logs. `control` is the control socket; None puts it in a
    new short directory, because the path of a unix socket may have 107 bytes and no more.
    """

    zones: tuple[str, ...]
    registry: Path
    model: str
    version: str
    directory: Path
    candidate: str = ""
    processes_per_zone: int = 1
    route_timeout_s: float = 2.0
    client_rps: float = 200.0
    load_rps: float = 2000.0
    in_flight_max: int = 120
    state: Path | None = None
    edge_port: int = 0
    kept: Path | None = None
    control: Path | None = None
    service_command: tuple[str, ...] = SERVICE_COMMAND

    def __post_init__(self) -> None:
        if not self.zones or len(set(self.zones)) != len(self.zones) or CANDIDATE in self.zones:
            raise ValueError(f"zones must be distinct names other than {CANDIDATE!r}, not {self.zones}")
        if self.processes_per_zone < 1:
            raise ValueError(f"processes_per_zone must be at least 1, not {self.processes_per_zone}")

    def groups(self) -> dict[str, str]:
        """Version served by each group of processes: the zones in order, then the candidate if there is one."""
        versions = dict.fromkeys(self.zones, self.version)
        return versions | ({CANDIDATE: self.candidate} if self.candidate else {})

    def to_json(self) -> str:
        """This specification as a JSON object; `from_json` reads it back."""
        return json.dumps(dataclasses.asdict(self), default=str, indent=2)

    @classmethod
    def from_json(cls, text: str) -> FleetSpec:
        """The specification that `to_json` wrote."""
        data: dict[str, Any] = json.loads(text)
        for key in ("zones", "service_command"):
            data[key] = tuple(data[key])
        for key in ("registry", "directory", "control", "state", "kept"):
            data[key] = data[key] and Path(data[key])
        return cls(**data)
