"""What a scenario is to send: the law of its arrivals, where to, and by which limits.

Rule: pure data with a JSON round trip, because Locust reads it in another process. It refuses what makes no sense.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Literal

from harness.plan_target import Tls

MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
SEQUENCE_BITS = 40
"""The low bits of a request id that count the requests of one scenario."""


@dataclass(frozen=True, slots=True)
class Phase:
    """`duration_s` seconds at `rate_rps`, or rising or falling linearly to `end_rate_rps` where that is given."""

    name: str
    rate_rps: float
    duration_s: float
    end_rate_rps: float | None = None

    def __post_init__(self) -> None:
        if not (self.duration_s > 0 and math.isfinite(self.duration_s)):
            raise ValueError(f"phase {self.name!r}: duration_s must be above 0 and finite, not {self.duration_s}")
        if min(self.rate_rps, self.last_rate_rps) < 0 or not 0 < self.expected < math.inf:
            raise ValueError(f"phase {self.name!r}: its rates must be finite, not negative, and not both be 0")

    @property
    def last_rate_rps(self) -> float:
        """The rate at the end of the phase."""
        return self.rate_rps if self.end_rate_rps is None else self.end_rate_rps

    @property
    def expected(self) -> float:
        """The number of arrivals expected: the area under the rate."""
        return (self.rate_rps + self.last_rate_rps) / 2 * self.duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSpec:
    """One scenario, ready to run.

    `requests` is a pool file, `ledger` the Arrow IPC stream to write, `timeline` the run's timeline ("" for none), and
    `zero_ns` the `time.monotonic_ns()` which is zero in both. A request overdue by more than `late_limit_s` is not
    sent. `in_flight_max` requests may be open at once on each of `workers`, which share the one schedule; `drain_s` is
    how long open ones may take after the last.

    `method` is a full gRPC method ("/package.Service/Method"), or for HTTP a verb and a path ("POST /predict"). Values
    of `metadata` may refer to secrets ("env:NAME", "file:PATH"), which are resolved where the load is sent, never here.
    """

    scenario: str
    target: str
    phases: tuple[Phase, ...]
    requests: str
    ledger: str
    zero_ns: int
    timeline: str = ""
    scenario_index: int = 0
    protocol: Literal["grpc", "http"] = "grpc"
    method: str = MODEL_INFER
    metadata: tuple[tuple[str, str], ...] = ()
    tls: Tls | None = None
    arrivals: Literal["poisson", "constant"] = "poisson"
    seed: int = 1
    timeout_s: float = 2.0
    in_flight_max: int = 512
    late_limit_s: float = 0.25
    drain_s: float = 3.0
    connections: int = 2
    workers: int = 1

    def __post_init__(self) -> None:
        if not self.phases:
            raise ValueError("phases must not be empty")
        if len({phase.name for phase in self.phases}) != len(self.phases):
            raise ValueError(f"phases must have different names: {[phase.name for phase in self.phases]}")
        if self.arrivals not in ("poisson", "constant"):
            raise ValueError(f'arrivals must be "poisson" or "constant", not {self.arrivals!r}')
        for name in ("timeout_s", "in_flight_max", "late_limit_s", "drain_s", "connections", "workers"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")

    @property
    def duration_s(self) -> float:
        """From the schedule's zero to the end of its last phase; draining comes on top."""
        return sum(phase.duration_s for phase in self.phases)

    def request_id(self, sequence: int) -> int:
        """The id, unique in a run, of the scenario's request number `sequence`."""
        return (self.scenario_index << SEQUENCE_BITS) | sequence

    def to_json(self) -> str:
        """This specification as a JSON object; `from_json` reads it back."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> LoadSpec:
        """The specification in `text`. Raises ValueError or TypeError when it is none."""
        fields = json.loads(text)
        structured = {
            "phases": tuple(Phase(**phase) for phase in fields["phases"]),
            "metadata": tuple((name, value) for name, value in fields.get("metadata", ())),
            "tls": None if fields.get("tls") is None else Tls(**fields["tls"]),
        }
        return cls(**fields | structured)
