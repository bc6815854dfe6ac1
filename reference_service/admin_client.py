"""The administrator's side of a running server: what it has, and which version it should serve.

Rule: a key comes by reference and leaves only over TLS, or to this machine itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import grpc

from reference_service.protocol import open_inference_pb2 as pb
from reference_service.protocol.open_inference_pb2_grpc import GRPCInferenceServiceStub
from reference_service.secret import SecretError, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Self

    Parameters = dict[str, pb.ModelRepositoryParameter]

Answer = TypeVar("Answer")
LIMIT_S: Final = 60.0
"""Loading reads, verifies and warms a version: a second for a small one, more for one whose engine is built first."""
_HERE: Final = {"localhost", "127.0.0.1", "[::1]"}


class AdminError(Exception):
    """The server can't be asked, or refused; the text is the server's own where there is one."""


class Version(NamedTuple):
    """A version in the server's registry. `note` says that it is current, or why it is not available."""

    model: str
    version: str
    state: str
    note: str


class AdminClient:
    """Calls to the server at `address`, with the key that `key_reference` leads to; `ca` makes it TLS."""

    def __init__(self, address: str, *, key_reference: str | None = None, ca: Path | None = None) -> None:
        if key_reference and ca is None and address.rpartition(":")[0] not in _HERE:
            raise AdminError(f"a key is not sent to {address} in the clear: name the certificate authority (--ca)")
        try:
            key = resolve(key_reference).decode("ascii").strip() if key_reference else ""
            self._channel = (
                grpc.secure_channel(address, grpc.ssl_channel_credentials(ca.read_bytes()))
                if ca
                else grpc.insecure_channel(address)
            )
        except (SecretError, UnicodeDecodeError) as error:
            raise AdminError(f"there is no key: {error if isinstance(error, SecretError) else 'not ASCII'}") from None
        except OSError as error:
            raise AdminError(f"{ca} can't be read: {error.strerror}") from error
        self._metadata = (("authorization", f"Bearer {key}"),) if key else ()
        self._stub = GRPCInferenceServiceStub(self._channel)  # type: ignore[no-untyped-call] # generated

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def versions(self) -> Iterator[Version]:
        """Every version in the server's registry."""
        for item in self._ask(self._stub.RepositoryIndex, pb.RepositoryIndexRequest()).models:
            yield Version(item.name, item.version, item.state, item.reason)

    def load(self, model: str, version: str, *, promote: bool) -> None:
        """Have the version in memory; current too, if it is to be promoted."""
        self._change(model, {"version": _text(version), "promote": _flag(promote)})

    def rollback(self, model: str) -> None:
        """Undo the last promotion."""
        self._change(model, {"rollback": _flag(True)})

    def unload(self, model: str, version: str) -> None:
        """Forget a version that is not current."""
        request = pb.RepositoryModelUnloadRequest(model_name=model, parameters={"version": _text(version)})
        self._ask(self._stub.RepositoryModelUnload, request)

    def _change(self, model: str, parameters: Parameters) -> None:
        request = pb.RepositoryModelLoadRequest(model_name=model, parameters=parameters)
        self._ask(self._stub.RepositoryModelLoad, request)

    def _ask(self, call: Callable[..., Answer], request: Any) -> Answer:
        try:
            return call(request, timeout=LIMIT_S, metadata=self._metadata)
        except grpc.RpcError as error:
            raise AdminError(f"{error.code().name}: {error.details()}") from None


def _text(value: str) -> pb.ModelRepositoryParameter:
    return pb.ModelRepositoryParameter(string_param=value)


def _flag(value: bool) -> pb.ModelRepositoryParameter:  # noqa: FBT001 - private
    return pb.ModelRepositoryParameter(bool_param=value)
