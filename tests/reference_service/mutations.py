"""Messages that nobody should send, made from good ones by a seeded random source.

Rule: two layers, because they find different things: fields set to values that are odd but well formed, and bytes
broken as a wire or an attacker breaks them. The same seed makes the same message.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reference_service.protocol.messages import infer_request
from tests.reference_service.tiny_registry import COLUMNS, MODEL, tiny_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_service.protocol import open_inference_pb2 as pb

    Change = Callable[[pb.ModelInferRequest, random.Random], None]

TEXTS: Final = (
    "", "x", MODEL, "features", "p", "FP32", "FP64", "FP16", "BF16", "BYTES", "INT8", "BOOL", "fp32", "1", "..", "/",
    "\0", "\r\nx-zone: y", "ä" * 40, "\U0001f600", "x" * 5000, "%s%n{0}", "timeout", "priority", "sequence_id",
    "shared_memory_region", "-1", "\ud7ff\ue000", "a\tb",
)  # fmt: skip
INTEGERS: Final = (0, 1, -1, 2, 3, 4, 255, 1024, 1025, 2**31 - 1, -(2**31), 2**31, 2**62, 2**63 - 1, -(2**63))
FLOATS: Final = (0.0, -0.0, 1.0, float("nan"), float("inf"), float("-inf"), 3.4e38, 1e-45, 1e308)
FOUR_BYTES: Final = (
    b"\x00\x00\xc0\x7f",
    b"\x01\x00\x80\x7f",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x80\xff",
    b"\x00\x00\x00\x80",
)
"""Quiet NaN, signalling NaN, another NaN, −infinity, −0.0."""


def good(source: random.Random) -> pb.ModelInferRequest:
    """A request that is answered: raw or typed, one row or some."""
    rows = tiny_rows(source.choice((1, 1, 2, 7)))
    request = infer_request(MODEL, "features", rows, version=source.choice(("", "1")), request_id="abc")
    if source.random() < 0.3:
        request.inputs[0].contents.fp32_contents.extend(rows.ravel().tolist())
        request.ClearField("raw_input_contents")
    if source.random() < 0.2:
        request.parameters["timeout"].int64_param = 1000
    if source.random() < 0.2:
        request.outputs.add(name="p")
    return request


def mutated(seed: int) -> bytes:
    """One message: fields changed, bytes broken, both, or, one time in ten, neither."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    request = good(source)
    for _ in range(source.choice((0, 1, 1, 2, 3))):
        source.choice(CHANGES)(request, source)
    raw = request.SerializeToString()
    if source.random() < 0.4:
        for _ in range(source.choice((1, 1, 2, 5))):
            raw = source.choice(BREAKS)(raw, source)
    return raw


def _tensor(request: pb.ModelInferRequest) -> pb.ModelInferRequest.InferInputTensor:
    return request.inputs[0] if request.inputs else request.inputs.add()


def _text(request: pb.ModelInferRequest, source: random.Random) -> None:
    target, field = source.choice(
        [(request, "model_name"), (request, "model_version"), (request, "id")]
        + [(_tensor(request), name) for name in ("name", "datatype")]
    )
    setattr(target, field, source.choice(TEXTS))


def _shape(request: pb.ModelInferRequest, source: random.Random) -> None:
    shape = _tensor(request).shape
    action = source.randrange(4)
    if action == 0 and shape:
        shape[source.randrange(len(shape))] = source.choice(INTEGERS)
    elif action == 1:
        shape.append(source.choice(INTEGERS))
    elif action == 2 and shape:
        del shape[source.randrange(len(shape)) :]
    else:
        shape[:] = [source.choice(INTEGERS) for _ in range(source.choice((0, 2, 2, 3, 2000)))]


def _raw(request: pb.ModelInferRequest, source: random.Random) -> None:
    raw = request.raw_input_contents
    if not raw or source.random() < 0.2:
        raw.append(source.randbytes(source.choice((0, 1, 4 * COLUMNS, 5000))))
        return
    content = bytearray(raw[0])
    if source.random() < 0.6 and len(content) >= 4:
        at = 4 * source.randrange(len(content) // 4)
        content[at : at + 4] = source.choice(FOUR_BYTES)
    else:
        content = content[: source.randrange(len(content) + 1)]
    raw[0] = bytes(content)


def _contents(request: pb.ModelInferRequest, source: random.Random) -> None:
    contents = _tensor(request).contents
    name = source.choice([field.name for field in contents.DESCRIPTOR.fields])
    values: Any = {
        "bool_contents": [True, False],
        "bytes_contents": [b"", b"\xff" * 50],
        "fp32_contents": [float(np.float32(source.choice(FLOATS[:7]))) for _ in range(COLUMNS)],
        "fp64_contents": list(FLOATS),
        "int_contents": [-1, 2**31 - 1],
        "int64_contents": [-(2**63)],
        "uint_contents": [2**32 - 1],
        "uint64_contents": [2**64 - 1],
    }[name]
    if source.random() < 0.5:
        contents.ClearField(name)
    getattr(contents, name).extend(values)


def _parameters(request: pb.ModelInferRequest, source: random.Random) -> None:
    tensor = _tensor(request)
    output = request.outputs[0] if request.outputs else request.outputs.add(name="p")
    parameter = source.choice((request, request, tensor, output)).parameters[source.choice(TEXTS)]
    kind = source.choice([field.name for field in parameter.DESCRIPTOR.fields] + [""])
    values: Any = {
        "bool_param": True,
        "int64_param": source.choice(INTEGERS),
        "string_param": source.choice(TEXTS),
        "double_param": source.choice(FLOATS),
        "uint64_param": abs(source.choice(INTEGERS)),
    }
    if kind:
        setattr(parameter, kind, values[kind])


def _repeat(request: pb.ModelInferRequest, source: random.Random) -> None:
    action = source.randrange(4)
    if action == 0:
        request.inputs.append(_tensor(request))
    elif action == 1:
        request.outputs.add(name=source.choice(TEXTS))
    elif action == 2:
        request.ClearField(source.choice([field.name for field in request.DESCRIPTOR.fields]))
    else:
        request.raw_input_contents.append(b"")


def _flip(raw: bytes, source: random.Random) -> bytes:
    if not raw:
        return b"\xff"
    at = source.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << source.randrange(8)]) + raw[at + 1 :]


def _truncate(raw: bytes, source: random.Random) -> bytes:
    return raw[: source.randrange(len(raw) + 1)]


def _insert(raw: bytes, source: random.Random) -> bytes:
    at = source.randrange(len(raw) + 1)
    return raw[:at] + source.randbytes(source.choice((1, 2, 8, 100))) + raw[at:]


def _copy(raw: bytes, source: random.Random) -> bytes:
    begin, end = sorted((source.randrange(len(raw) + 1), source.randrange(len(raw) + 1)))
    return raw[:end] + raw[begin:]


def _wire(raw: bytes, source: random.Random) -> bytes:
    """What protobuf's encoding knows and this message does not, and what it forbids."""
    extra = source.choice(
        (
            b"\x0b" * 200,  # groups that begin and never end
            b"\x0b\x0c" * 50,  # groups in due form
            b"\x2a\x02\x2a\x00" * 20,  # empty inputs
            b"\xfa\x7f\x03abc",  # an unknown field
            b"\x0a\xff\xff\xff\xff\x0f",  # a text of 4 GiB
            b"\x80" * 12,  # a varint that does not end
            b"\x0d\x00\x00",  # four bytes, two of them missing
            b"\x0a\x02\xc3\x28",  # a text that is no UTF-8
            b"\x00\x00",  # field number 0
        )
    )
    return extra + raw if source.random() < 0.5 else raw + extra


def _noise(raw: bytes, source: random.Random) -> bytes:
    return source.randbytes(len(raw))


CHANGES: Final[tuple[Change, ...]] = (_text, _text, _shape, _raw, _raw, _contents, _parameters, _repeat)
BREAKS: Final = (_flip, _flip, _truncate, _insert, _copy, _wire, _noise)
