"""Whatever bytes come, each message is answered or refused with its reason, never by INTERNAL, and harms no other."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_service.protocol import open_inference_pb2 as pb
from reference_service.protocol.messages import MODEL_INFER, infer_request, output_array
from tests.reference_service.mutations import mutated
from tests.reference_service.tiny_registry import MODEL, tiny_answers, tiny_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.reference_service.running import InProcess

LIMIT_S = 280
TRAILER_BYTES_MAX = 8 << 10
"""What a gRPC client accepts unless told otherwise."""
OTHER_CALLS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata")
INVALID, MISSING, OK = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.OK
EXPECTED = {OK, INVALID, MISSING}


class Aborted(Exception):  # noqa: N818 - what it is, not what went wrong
    pass


class Context:
    """What a handler may ask of its call; remembers how the call was ended."""

    def __init__(self) -> None:
        self.code = OK
        self.text = ""
        self.trailers: Any = ()

    async def abort(self, code: grpc.StatusCode, text: str = "", trailers: Any = ()) -> None:
        self.code, self.text, self.trailers = code, text, trailers
        raise Aborted

    def invocation_metadata(self) -> Any:
        return (("user-agent", "fuzz"),)

    def set_trailing_metadata(self, trailers: Any) -> None:
        self.trailers = trailers

    def peer_identities(self) -> None:
        return None

    def time_remaining(self) -> float:
        return 5.0


def ended(running: InProcess, messages: Iterable[bytes], name: str = "ModelInfer") -> Counter[grpc.StatusCode]:
    """How many of `messages` ended how, each given to the handler of that name as gRPC does."""
    handler: Any = running.servicer.handlers()[name]

    async def all_of_them() -> Counter[grpc.StatusCode]:
        codes: Counter[grpc.StatusCode] = Counter()
        for message in messages:
            context = Context()
            try:
                answer = await handler.unary_unary(message, context)
            except Aborted:
                answer = None
            check(message, context, answer if name == "ModelInfer" else None)
            codes[context.code] += 1
        return codes

    return asyncio.run_coroutine_threadsafe(all_of_them(), running.loop).result(LIMIT_S)


def check(message: bytes, context: Context, answer: bytes | None) -> None:
    assert context.code in EXPECTED, (context.code, message)
    assert len(context.text) < 500, message
    assert all(isinstance(value, bytes) or (value.isascii() and value.isprintable()) for _, value in context.trailers)
    assert sum(len(name) + len(value) for name, value in context.trailers) * 4 / 3 < TRAILER_BYTES_MAX, message
    if answer is not None:
        request, found = pb.ModelInferRequest.FromString(message), pb.ModelInferResponse.FromString(answer)
        values = output_array(found, "p") if found.raw_output_contents else found.outputs[0].contents.fp32_contents
        assert np.isfinite(values).all(), message
        assert list(found.outputs[0].shape) == [request.inputs[0].shape[0], 1], message


def still_right(running: InProcess) -> None:
    rows = tiny_rows(4)
    with grpc.insecure_channel(running.address) as channel:
        raw = channel.unary_unary(MODEL_INFER)(infer_request(MODEL, "features", rows).SerializeToString(), timeout=10)
    np.testing.assert_allclose(output_array(pb.ModelInferResponse.FromString(raw), "p"), tiny_answers(rows), rtol=1e-6)


def fuzzed(running: InProcess, seeds: range) -> None:
    codes = ended(running, (mutated(seed) for seed in seeds))
    assert set(codes) == EXPECTED
    assert min(codes.values()) > len(seeds) / 50, codes  # or the messages show too little of something
    still_right(running)


def test_thousands_of_odd_messages_are_each_answered_or_refused_by_name(service: InProcess) -> None:
    fuzzed(service, range(5_000))


@pytest.mark.long
def test_more_than_a_hundred_thousand_are_each_answered_or_refused_by_name(service: InProcess) -> None:
    fuzzed(service, range(5_000, 140_000))


@settings(max_examples=300, deadline=None)
@given(message=st.binary(max_size=300), name=st.sampled_from((*OTHER_CALLS, "ModelInfer")))
def test_any_bytes_to_any_call_are_a_message_or_refused(service: InProcess, message: bytes, name: str) -> None:
    ended(service, [message], name)


def test_odd_messages_over_the_wire_end_with_the_same_codes(service: InProcess) -> None:
    messages = [mutated(seed) for seed in range(200_000, 200_600)]
    codes: Counter[grpc.StatusCode] = Counter()
    with grpc.insecure_channel(service.address) as channel:
        call = channel.unary_unary(MODEL_INFER)
        for begin in range(0, len(messages), 50):  # as many at once as wait without refusal
            futures = [call.future(message, timeout=10) for message in messages[begin : begin + 50]]
            codes.update(future.code() for future in futures)
    assert codes == ended(service, messages)
    still_right(service)
