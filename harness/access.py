"""How gonogo itself reaches a target, for what it asks before a load: is it there, and what does it offer?

Rule: encrypted and authenticated exactly as the load will be. Every wait has a limit, and no secret leaves but on the
wire.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from harness.load.sender import SenderError
from harness.load.tls import tls_context
from harness.plan_target import Reference, Tls, secret_reference
from harness.secret import hide, resolve_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.plan import LoadedPlan
    from harness.secret import Pairs

REACH_LIMIT_S = 10.0
MESSAGE_BYTES_MAX = 64 << 20
"""Descriptors of a large service take more than gRPC's own 4 MiB for an answer."""


class AccessError(Exception):
    """The target cannot be reached, or not in this way; the text says where and what to check."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where a target is ("host:port"), the metadata of each call as in a Plan, and its TLS; files by full path."""

    address: str
    metadata: tuple[tuple[str, str], ...] = ()
    tls: Tls | None = None

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The two parts of the address; an IPv6 host is written in brackets. Raises AccessError."""
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdecimal():
            raise AccessError(f'{self.address}: an address is "host:port"')
        return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True)
class Calls:
    """An open channel with the metadata that its calls carry, resolved."""

    channel: grpc.Channel
    metadata: Pairs
    secrets: Pairs

    def describe(self, error: grpc.RpcError) -> str:
        """What the service answered, in one line, without any secret that it may repeat."""
        return hide(f"{error.code().name}: {error.details()}", self.secrets)


def access_of(loaded: LoadedPlan, address: str) -> Access:
    """The access that the Plan describes, to its target at `address`."""
    target = loaded.plan.target
    metadata = tuple((name, _absolute(loaded, value)) for name, value in target.metadata.items())
    return Access(address, metadata, target.tls and _absolute_tls(loaded, target.tls))


def _absolute(loaded: LoadedPlan, value: str) -> str:
    """A value of metadata, with the path of a secret's file seen from anywhere."""
    match secret_reference(value):
        case Reference(before, "file", path):
            return f"{before}file:{loaded.resolve(path)}"
        case _:
            return value


def _absolute_tls(loaded: LoadedPlan, tls: Tls) -> Tls:
    ca, certificate, key = (name and str(loaded.resolve(name)) for name in (tls.ca, tls.certificate, tls.key))
    return Tls(ca=ca, certificate=certificate, key=key, server_name=tls.server_name)


@contextlib.contextmanager
def grpc_calls(access: Access) -> Iterator[Calls]:
    """A channel to the target for calls of our own; closed at the end. Raises AccessError, SecretError."""
    plain, secrets = resolve_all(access.metadata)
    options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)]
    if access.tls is None:
        channel = grpc.insecure_channel(access.address, options)
    else:
        if access.tls.server_name:
            options.append(("grpc.ssl_target_name_override", access.tls.server_name))  # type: ignore[arg-type]
        channel = grpc.secure_channel(access.address, _credentials(access.tls), options)
    with channel:
        yield Calls(channel, plain + secrets, secrets)


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    with _errors_of_tls():
        tls_context(tls, ["h2"])  # says which file is wrong; gRPC itself only fails to connect
    authorities = Path(tls.ca).read_bytes() if tls.ca else _system_authorities()
    key, certificate = ((Path(name).read_bytes() if name else None) for name in (tls.key, tls.certificate))
    return grpc.ssl_channel_credentials(authorities, key, certificate)


def _system_authorities() -> bytes | None:
    """The authorities that this system trusts, where they are one file; gRPC's own list otherwise."""
    cafile = ssl.get_default_verify_paths().cafile
    return Path(cafile).read_bytes() if cafile else None


@contextlib.contextmanager
def _errors_of_tls() -> Iterator[None]:
    try:
        yield
    except SenderError as error:
        raise AccessError(str(error)) from error


def require_grpc(access: Access, limit_s: float = REACH_LIMIT_S) -> None:
    """Wait until the target takes gRPC calls. Raises AccessError when it does not within `limit_s`, and SecretError."""
    with grpc_calls(access) as calls:
        try:
            grpc.channel_ready_future(calls.channel).result(timeout=limit_s)
        except grpc.FutureTimeoutError as error:
            how = "gRPC over TLS" if access.tls else "gRPC"
            raise AccessError(
                f"nothing answers {how} at {access.address} within {limit_s:.0f} s; is it running there?"
            ) from error


def require_http(access: Access, limit_s: float = REACH_LIMIT_S) -> None:
    """Connect, with TLS where it is wanted, and send nothing. Raises AccessError, SecretError."""
    resolve_all(access.metadata)
    host, port = access.host_and_port
    with _errors_of_tls():
        context = tls_context(access.tls, ["http/1.1"])
    try:
        with socket.create_connection((host, port), limit_s) as plain:
            if context is not None and access.tls is not None:
                context.wrap_socket(plain, server_hostname=access.tls.server_name or host).close()
    except OSError as error:  # ssl.SSLError is one
        how = "HTTPS" if access.tls else "HTTP"
        raise AccessError(f"no {how} connection to {access.address}: {error}; is it running there?") from error
