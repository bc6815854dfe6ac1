"""What a serving process is told: the file `service.toml`, read strictly.

Rule: everything is optional, an unknown key is an error that names it, and a path is relative to the file it stands in.
A secret is never a value here, only a reference to one.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo

from reference_service.auth.caller import ADMIN, INFER
from reference_service.errors import StartError
from reference_service.protocol.audit import SEGMENT_BYTES_MAX
from reference_service.secret import located


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    """`path` as it is meant: relative to the directory of the file it was read from."""
    return Path((info.context or {}).get("base", ".")) / path


def _secret_beside_the_file(reference: str, info: ValidationInfo) -> str:
    return located(reference, Path((info.context or {}).get("base", ".")))


Located = Annotated[Path, AfterValidator(_beside_the_file)]
Reference = Annotated[str, AfterValidator(_secret_beside_the_file)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Scope = Literal["infer", "admin"]
assert {INFER, ADMIN} == {"infer", "admin"}  # noqa: S101 - a type can't be made of constants


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tls(_Table):
    """Certificates are read again when they change; `key` is a reference.

    `client_ca` makes it mutual: no client gets in without a certificate that it signed.
    """

    certificate: Located
    key: Reference
    client_ca: Located | None = None


class Jwt(_Table):
    """Who may issue tokens, and for whom."""

    issuer: str
    audience: str
    jwks: Located
    leeway_s: Annotated[float, Field(ge=0, le=300)] = 30.0


class MutualTls(_Table):
    """Which certificate subjects are callers, with their scopes; a certificate not named here is nobody's."""

    clients: dict[str, tuple[Scope, ...]] = {}


class Auth(_Table):
    """The credentials that count. Without this table whoever reaches the port may infer."""

    keys: Located | None = None
    jwt: Jwt | None = None
    mtls: MutualTls = MutualTls()


class Quota(_Table):
    """Inferences a client may ask for from midnight to midnight, UTC."""

    requests_per_day: Count
    clients: dict[str, Count] = {}
    state: Located | None = None


class Limits(_Table):
    """Bounds on what may be in hand at once.

    A message of 1 MiB is far more than the largest batch takes. 256 inferences that wait for their turn are answered in
    less than a tenth of a second, also while others are refused; more would only wait longer. So no connection may have
    more calls open either: a caller that has waits at its own end, which costs nothing here. Of too many connections
    one without calls makes way. `held_bytes_max` bounds messages that are not whole, not begun or not read by their
    callers, a quarter of it for each connection. `slow_s_max` is how long a caller may take to connect, to send a
    message, and to read an answer.
    """

    message_bytes_max: Count = 1 << 20
    in_flight_max: Count = 256
    streams_max: Count = 256
    metadata_bytes_max: Count = 8 << 10
    connections_max: Count = 512
    held_bytes_max: Count = 64 << 20
    slow_s_max: Annotated[float, Field(gt=0, le=600)] = 10.0


class Batching(_Table):
    """Rows of several calls in one run of the engine.

    `threaded` runs it on a thread of its own, for an engine that waits for a device; on a CPU the hand-over to a thread
    costs more than a small model takes.
    """

    rows_max: Count = 64
    threaded: bool = False
    delay_ms_max: Annotated[float, Field(ge=0, le=1000)] = 1.0
    queue_rows_max: Count = 1024


class Validation(_Table):
    """What becomes of a value outside the range seen in training, widened on both sides by `margin` times its width.

    Data drifts: of the flight model's held-out rows, two to five months younger than its training, 59 % have a value
    outside the range, 2.7 % by more than a tenth of its width, 0.1 % by more than a quarter and none by more than half.
    So the default refuses what no drift explains, such as a wrong unit or column, and nothing else.
    """

    out_of_range: Literal["reject", "clip", "pass"] = "reject"
    margin: Annotated[float, Field(ge=0)] = 1.0
    rows_max: Count = 1024


class Registry(_Table):
    """`trust` says whose signature on a version counts; `state` remembers the newest version seen."""

    trust: Located | None = None
    state: Located | None = None


class Metrics(_Table):
    """Where Prometheus finds the metrics."""

    listen: str = "127.0.0.1:0"


class Traces(_Table):
    """Where spans go, and the share of calls that are traced if the caller does not say."""

    endpoint: str
    ratio: Share = 0.1


class Predictions(_Table):
    """Where inputs and outputs are recorded, and of which share of the requests."""

    directory: Located
    ratio: Share = 1.0


class Audit(_Table):
    """Where every answer is recorded before it is given; with mode "off" none is."""

    directory: Located
    mode: Literal["off", "durable"] = "durable"
    segment_bytes_max: Count = SEGMENT_BYTES_MAX


class ServiceSettings(_Table):
    """All of `service.toml`."""

    engine: Literal["auto", "onnxruntime", "tensorrt"] = "auto"
    plan_cache: Located | None = None
    tls: Tls | None = None
    auth: Auth | None = None
    quota: Quota | None = None
    limits: Limits = Limits()
    batching: Batching | None = None
    validation: Validation = Validation()
    registry: Registry = Registry()
    metrics: Metrics | None = None
    traces: Traces | None = None
    predictions: Predictions | None = None
    audit: Audit | None = None


def read_settings(path: Path) -> ServiceSettings:
    """The settings in the file at `path`.

    Raises:
        StartError: it can't be read, or says what the service does not know; the text names the key.
    """
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text())
        return ServiceSettings.model_validate(document, context={"base": path.parent})
    except OSError as error:
        raise StartError(f"{path} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StartError(f"{path} is no TOML: {error}") from error
    except ValidationError as error:
        # Never the input: a secret may stand where a reference should.
        found = [f"{'.'.join(map(str, item['loc']))}: {item['msg'].lower()}" for item in error.errors()]
        raise StartError(f"{path}: " + "; ".join(found)) from error


def with_audit(settings: ServiceSettings, mode: str | None, directory: Path | None) -> ServiceSettings:
    """The settings with what the command line says of the audit journal, None where it says nothing.

    Raises:
        StartError: a journal is wanted and nothing says where.
    """
    said = {name: value for name, value in (("mode", mode), ("directory", directory)) if value is not None}
    known = settings.audit.model_dump() if settings.audit else {}
    if not said:
        return settings
    if "directory" not in known | said:
        if mode == "off":
            return settings
        raise StartError("an audit journal wants a folder: give --audit-directory, or directory in [audit]")
    return settings.model_copy(update={"audit": Audit.model_validate(known | said)})
