"""A call of Triton's that is not offered says what to do instead, whatever its cardinality."""

from __future__ import annotations

import grpc
import pytest

from reference_service.not_offered import NOT_OFFERED
from reference_service.protocol.messages import SERVICE


@pytest.mark.parametrize("name", NOT_OFFERED)
def test_each_is_unimplemented_with_a_sentence(channel: grpc.Channel, name: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{SERVICE}/{name}")(b"\xff\xff", timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert caught.value.details() == f"{name} is not offered: {NOT_OFFERED[name]}"
    assert dict(caught.value.trailing_metadata())["x-zone"] == "zone-t"


def test_a_stream_gets_the_same_answer(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(channel.stream_stream(f"/{SERVICE}/ModelStreamInfer")(iter([b"", b""]), timeout=5))
    assert "call ModelInfer for each" in (caught.value.details() or "")
