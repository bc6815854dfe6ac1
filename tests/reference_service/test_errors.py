"""Each typed error has its gRPC code, and only their texts reach a caller."""

from __future__ import annotations

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status

from reference_service.errors import (
    DETAILS,
    InvalidRequestError,
    OverloadedError,
    UnknownModelError,
    Violation,
    code_of,
    details_of,
    shown,
    text_of,
)
from reference_service.protocol.tensors import TensorError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownModelError("t"), grpc.StatusCode.NOT_FOUND),
        (InvalidRequestError("t"), grpc.StatusCode.INVALID_ARGUMENT),
        (TensorError("t"), grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_a_typed_error_has_a_code_and_keeps_its_text(error: Exception, code: grpc.StatusCode) -> None:
    assert (code_of(error), text_of(error)) == (code, "t")


def test_any_other_error_is_internal_and_keeps_its_text_to_itself() -> None:
    error = ValueError("/a/path")
    assert code_of(error) is grpc.StatusCode.INTERNAL
    assert "/a/path" not in text_of(error)


def test_what_was_sent_is_quoted_and_cut_short() -> None:
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("x" * 10_000)) < 80


def test_details_name_the_field_and_when_to_try_again() -> None:
    [(name, content)] = details_of(InvalidRequestError("t", Violation("inputs[0].shape", "expected [-1, 74]")))
    status, bad, retry = Status.FromString(content), BadRequest(), RetryInfo()
    assert (name, status.code, status.message) == (DETAILS, grpc.StatusCode.INVALID_ARGUMENT.value[0], "t")
    assert status.details[0].Unpack(bad)
    assert bad.field_violations[0].field == "inputs[0].shape"

    [(_, content)] = details_of(OverloadedError("t", retry_after_s=0.25))
    assert Status.FromString(content).details[0].Unpack(retry)
    assert retry.retry_delay.ToNanoseconds() == 250_000_000


def test_an_error_with_nothing_but_its_text_has_no_details() -> None:
    assert details_of(UnknownModelError("t")) == details_of(ValueError("t")) == ()
