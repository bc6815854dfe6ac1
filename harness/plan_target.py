"""The part of a Plan that says what is tested and how it is reached.

Rule: standard library only; nothing here reads a file. A secret is never written in a Plan, only a reference to it:
`env:NAME` (an environment variable) or `file:PATH` (a file's content), alone or after one word ("Bearer env:TOKEN").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

from harness.plan_gcp import Gcp
from harness.plan_rules import CLOSED, require

PROCESSES_PER_ZONE_MAX = 8
ONLY_ATTACHED = ("method", "descriptors", "body", "metadata", "tls")
ONLY_OIP = ("model", "registry")
ONLY_METHODS = ("method", "descriptors", "body")
RESERVED = {
    "grpc": ("te", "content-type", "user-agent", "x-request-id"),
    "http": ("host", "content-length", "transfer-encoding", "connection", "x-request-id"),
}
"""Names of metadata that the sender of each protocol sets itself."""

_REFERENCE = re.compile(r"([!-~]+ )?(?:(env):([A-Za-z_][A-Za-z0-9_]*)|(file):(.+))")
_LIKE_REFERENCE = re.compile(r"(?<![\w.-])(env|file):")
_PRINTABLE = re.compile(r"[ -~]*")
_GRPC_METHOD = re.compile(r"/[A-Za-z_][\w.]*/[A-Za-z_]\w*", re.ASCII)
_HTTP_METHOD = re.compile(r"(GET|POST|PUT|PATCH|DELETE) /[!-~]*")
_BODILESS = ("GET ", "DELETE ")


class Reference(NamedTuple):
    """Where a secret is: `before` is the text before it, `kind` "env" or "file", `name` the variable or the path."""

    before: str
    kind: str
    name: str


def secret_reference(value: str) -> Reference | None:
    """The reference that a value of metadata holds; None when the value is meant as it stands.

    Raises ValueError when it looks like a reference and is none, so that no misspelt one is ever sent.
    """
    if found := _REFERENCE.fullmatch(value):
        before, env, variable, file, path = found.groups()
        return Reference(before or "", env or file, variable or path)
    require(
        not _LIKE_REFERENCE.search(value),
        'a secret is referred to as "env:NAME" or "file:PATH", alone or after one word ("Bearer env:TOKEN")',
    )
    return None


def protocol_of(method: str) -> Literal["grpc", "http"] | None:
    """Whose method that is, by its form: "/package.Service/Method" or "POST /path"; None for any other."""
    if _GRPC_METHOD.fullmatch(method):
        return "grpc"
    return "http" if _HTTP_METHOD.fullmatch(method) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How the connection is encrypted, by PEM files. Without `ca` the system's authorities are trusted.

    A `certificate` with its `key` shows the service who calls; `server_name` is the name that the service's own
    certificate must have, where it is not the host of the address. An empty table is plain TLS. A load's specification
    carries the same.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = CLOSED
    ca: str = ""
    certificate: str = ""
    key: str = ""
    server_name: str = ""

    def __post_init__(self) -> None:
        require(bool(self.certificate) == bool(self.key), "certificate and key belong together: give both or neither")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The service under test. `local` starts zones of it on this machine; `attached` only reaches one.

    `gcp` reaches one in the same way, and experiments break its resources on Google Cloud, which `gcp` names; `zones`
    are then Google's, and the second is the one that is broken.

    What is only reached speaks the Open Inference Protocol v2 ("oip"), or offers any unary gRPC `method`
    ("/package.Service/Method"), found by server reflection or in `descriptors` (a FileDescriptorSet), or an HTTP one
    ("POST /path"). `requests` are the rows of an .npz for "oip", of a .jsonl or .csv file otherwise; `body` is a Jinja
    template that makes each row a JSON message. `metadata` goes with every request.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = CLOSED
    provider: Literal["local", "attached", "gcp"]
    protocol: Literal["oip", "grpc", "http"] = "oip"
    model: str = ""
    version: str = ""
    address: str = ""
    method: str = ""
    descriptors: str = ""
    registry: str = ""
    candidate: str = ""
    requests: str = ""
    body: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    tls: Tls | None = None
    zones: tuple[str, ...] = ("zone-a", "zone-b", "zone-c")
    processes_per_zone: int = 1
    gcp: Gcp | None = None

    def __post_init__(self) -> None:
        require(
            (self.gcp is not None) == (self.provider == "gcp"), 'gcp is the table of provider "gcp", which needs it'
        )
        {"local": _check_local, "attached": _check_attached, "gcp": _check_gcp}[self.provider](self)


def _check_local(target: Target) -> None:
    require(target.protocol == "oip", 'protocol must be "oip" when provider is "local"')
    _refuse(target, ONLY_ATTACHED, 'provider "attached"')
    require(bool(target.model), "model must name the model to launch")
    require(bool(target.registry), 'registry must name the model registry folder when provider is "local"')
    require(bool(target.version), 'version must name the version to launch when provider is "local"')
    require(not target.address, 'address is only for provider "attached"; the local provider chooses its own')
    _check_zones(target)
    require("candidate" not in target.zones, 'zones must not use the name "candidate"; it is the next version\'s')
    require(target.candidate != target.version, "candidate must be another version than the one to launch")
    require(
        1 <= target.processes_per_zone <= PROCESSES_PER_ZONE_MAX,
        f"processes_per_zone must be 1 to {PROCESSES_PER_ZONE_MAX}",
    )


def _check_zones(target: Target) -> None:
    require(len(target.zones) >= 2, "zones needs at least two names: with one, its failure is an outage")  # noqa: PLR2004
    require(len(set(target.zones)) == len(target.zones), "zones must not repeat a name")


def _check_gcp(target: Target) -> None:
    _check_attached(target)
    _check_zones(target)
    require("zone-a" not in target.zones, "zones must name the target's zones on Google Cloud, the one to break second")


def _check_attached(target: Target) -> None:
    require(
        ":" in target.address and "/" not in target.address,
        'address must be "host:port" when it is only reached; a table [target.tls] makes the connection encrypted',
    )
    {"oip": _check_oip, "grpc": _check_grpc, "http": _check_http}[target.protocol](target)
    for name, value in target.metadata.items():
        check_metadata("http" if target.protocol == "http" else "grpc", name, value)


def _check_oip(target: Target) -> None:
    require(bool(target.model), 'model must name the model to ask when protocol is "oip"')
    _refuse(target, ONLY_METHODS, 'protocol "grpc" and "http"')


def _check_grpc(target: Target) -> None:
    _refuse(target, ONLY_OIP, 'protocol "oip"')
    require(
        protocol_of(target.method) == "grpc",
        f'method must be "/package.Service/Method" when protocol is "grpc", not {target.method!r}',
    )
    _check_rows(target)


def _check_http(target: Target) -> None:
    _refuse(target, (*ONLY_OIP, "descriptors"), "gRPC")
    require(
        protocol_of(target.method) == "http",
        f'method must be a verb and a path ("POST /predict") when protocol is "http", not {target.method!r}',
    )
    if target.method.startswith(_BODILESS):
        require(not target.requests, f"requests is of no use with {target.method!r}, which sends no body")
    else:
        require(bool(target.requests), f"requests must name a .jsonl or .csv file of what {target.method!r} sends")
    _check_rows(target)


def _check_rows(target: Target) -> None:
    is_csv = target.requests.endswith(".csv")
    require(
        is_csv or target.requests.endswith(".jsonl") or not target.requests,
        f"requests must be a .jsonl or .csv file when protocol is {target.protocol!r}, not {target.requests!r}",
    )
    require(bool(target.requests) or not target.body, "body is a template for rows; name their file in requests")
    require(
        bool(target.body) or not is_csv,
        "body must say how a row of the .csv becomes a message: '{\"user\": {{ user_id }}}' with the file's columns",
    )


def check_metadata(protocol: Literal["grpc", "http"], name: str, value: str) -> None:
    """One entry of metadata must be one that can be sent. Raises ValueError."""
    key = f"metadata.{name}"
    allowed = r"[a-z0-9_.-]+" if protocol == "grpc" else r"[A-Za-z0-9_.-]+"
    require(bool(re.fullmatch(allowed, name)), f"{key}: a name may hold {allowed.strip('[]+')} only")
    taken = name.lower() in RESERVED[protocol] or (protocol == "grpc" and name.startswith("grpc-"))
    require(not taken, f"{key}: this one is set by gonogo itself")
    require(protocol == "http" or not name.endswith("-bin"), f"{key}: binary metadata can't be given in a Plan")
    try:
        reference = secret_reference(value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    require(reference is not None or bool(_PRINTABLE.fullmatch(value)), f"{key}: only printable ASCII can be sent")


def _refuse(target: Target, keys: tuple[str, ...], owner: str) -> None:
    """None of these keys may be set: they are only for `owner`."""
    for key in keys:
        require(not getattr(target, key), f"{key} is only for {owner}")
