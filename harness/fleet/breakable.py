"""Where the files of a fleet lie that an experiment may break: models, keys, certificates, the token issuer's clock.

Rule: paths only, told by the supervisor's status; everything here belongs to the fleet and ends with it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from harness.fleet.token_issuer import TokenIssuer

if TYPE_CHECKING:
    from harness.fleet.credentials import Credentials
    from harness.fleet.spec import FleetSpec

Reply = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakable:
    """The fleet's copy of the registry, the model in it and the key that may sign for it; who may call, by which files.

    `second_key` is the key of a client that nothing else uses, called `second_client`; `certificates` are the zones'.
    """

    registry: str
    model: str
    signing_key: str
    keys: str
    second_client: str
    second_key: str
    certificates: dict[str, str]
    issuer: TokenIssuer

    @classmethod
    def of(cls, status: Reply) -> Self:
        """What a fleet's status tells."""
        told = dict(status["breakable"])
        issuer = TokenIssuer(**{name: Path(path) for name, path in told.pop("issuer").items()})
        return cls(**told, issuer=issuer)

    @classmethod
    def in_fleet(cls, spec: FleetSpec, credentials: Credentials) -> Self:
        """What lies in a fleet of this specification, whose registry is the copy."""
        return cls(
            registry=str(spec.registry),
            model=spec.model,
            signing_key=str(credentials.models.signing_key),
            keys=str(credentials.keys),
            second_client=credentials.second_client,
            second_key=str(credentials.second_key),
            certificates={name: str(own.certificate) for name, own in credentials.zones.items()},
            issuer=credentials.issuer,
        )

    def told(self) -> Reply:
        """As the status tells it."""
        facts = dataclasses.asdict(self)
        return facts | {"issuer": {name: str(path) for name, path in facts["issuer"].items()}}
