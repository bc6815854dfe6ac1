"""What can be wrong with a request or a start, and the one place where that becomes a gRPC code.

Rule: the text of a `RequestError` is for the caller and says what was expected; what a caller sent is shown cut short,
because a status message travels in a header. An error that nobody foresaw is logged and answered as INTERNAL, without
its text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc

from reference_service.protocol.tensors import TensorError

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOWN_CHARACTERS_MAX: Final = 64


class StartError(Exception):
    """The service cannot start as it was asked to; the text says why."""


class RequestError(Exception):
    """A request that cannot be answered; the text says what was expected."""


class UnknownModelError(RequestError):
    """The request names a model or a version that is not served here."""


class InvalidRequestError(RequestError):
    """The request's tensors are not those of the model."""


CODES: Final[Mapping[type[Exception], grpc.StatusCode]] = {
    UnknownModelError: grpc.StatusCode.NOT_FOUND,
    InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    TensorError: grpc.StatusCode.INVALID_ARGUMENT,
}


def code_of(error: Exception) -> grpc.StatusCode:
    """The gRPC code that `error` is answered with."""
    return CODES.get(type(error), grpc.StatusCode.INTERNAL)


def text_of(error: Exception) -> str:
    """The text that `error` is answered with."""
    if type(error) in CODES:
        return str(error)
    return "the service failed to answer; its log has the reason under this request id"


def shown(sent: str) -> str:
    """What a caller sent, quoted, and short enough for a status message."""
    return repr(sent if len(sent) <= SHOWN_CHARACTERS_MAX else sent[:SHOWN_CHARACTERS_MAX] + "…")
