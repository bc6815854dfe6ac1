"""The manifest of a model version: what the model takes, gives and decides, and how well it was measured to do so.

Rule: pure parsing of bytes into small frozen types; what the service relies on is checked here, field by field,
and what only people and gates read (`data`, `metrics`, `framework`) is passed through as it stands.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1
MODEL_FILE = "model.onnx"
GOLDEN_FILE = "golden.npz"
REFERENCE_FILE = "reference.json"
"""How inputs and answers were distributed in training, which drift is measured against; a version may do without."""
MANIFEST_FILE = "manifest.json"
REQUIRED_FILES = frozenset({MODEL_FILE, GOLDEN_FILE})
OPTIONAL_FILES = frozenset({REFERENCE_FILE})


class ManifestError(ValueError):
    """The manifest is not what this version of the service can serve; the text names the field."""


@dataclass(frozen=True, slots=True)
class FileFact:
    """What a file of the version must be, to the byte."""

    sha256: str
    size_bytes: int

    @classmethod
    def of(cls, content: bytes) -> FileFact:
        """The facts of `content`."""
        return cls(hashlib.sha256(content).hexdigest(), len(content))


@dataclass(frozen=True, slots=True)
class Column:
    """One input column: its name and the range of values seen in training."""

    name: str
    min: float
    max: float


@dataclass(frozen=True, slots=True)
class TensorFact:
    """Name, datatype in the words of the Open Inference Protocol, and shape; −1 is the batch axis."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """An `output` at or above `threshold` means `meaning`."""

    output: str
    threshold: float
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A parsed manifest."""

    name: str
    version: str
    files: Mapping[str, FileFact]
    inputs: tuple[TensorFact, ...]
    outputs: tuple[TensorFact, ...]
    decision: DecisionRule
    parameters: int
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    framework: Mapping[str, Any] = field(default_factory=dict)


def encode(document: Mapping[str, Any]) -> bytes:
    """The one byte form of a manifest: sorted keys, no NaN, so that equal content has an equal digest."""
    return (json.dumps(document, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n").encode()


def parse(content: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        ManifestError: It is no JSON, of another schema, or a field that the service needs is missing or malformed.
    """
    try:
        document = json.loads(content)
        _require(document["schema"] == SCHEMA, f"schema is {document['schema']!r}, this service reads {SCHEMA}")
        return _build(document)
    except KeyError as missing:
        raise ManifestError(f"the field {missing} is missing") from missing
    except (TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ManifestError(f"malformed: {error}") from error


def _build(document: Mapping[str, Any]) -> Manifest:
    manifest = Manifest(
        name=document["name"],
        version=document["version"],
        files={name: FileFact(fact["sha256"], fact["bytes"]) for name, fact in document["files"].items()},
        inputs=tuple(_tensor(item) for item in document["inputs"]),
        outputs=tuple(_tensor(item) for item in document["outputs"]),
        decision=DecisionRule(**document["decision"]),
        parameters=document["parameters"],
        data=document["data"],
        metrics=document["metrics"],
        framework=document["framework"],
    )
    _require(
        REQUIRED_FILES <= set(manifest.files) <= REQUIRED_FILES | OPTIONAL_FILES,
        f"files must be {MODEL_FILE} and {GOLDEN_FILE}, and may be {REFERENCE_FILE}",
    )
    _require(bool(manifest.inputs) and bool(manifest.outputs), "inputs and outputs must not be empty")
    outputs = [output.name for output in manifest.outputs]
    _require(manifest.decision.output in outputs, f"decision.output must be one of {outputs}")
    return manifest


def _tensor(item: Mapping[str, Any]) -> TensorFact:
    columns = tuple(Column(**column) for column in item.get("columns", ()))
    tensor = TensorFact(item["name"], item["datatype"], tuple(item["shape"]), columns)
    _require(tensor.shape[:1] == (-1,), f"{tensor.name}: the first axis must be the batch, -1, not {tensor.shape}")
    _require(not columns or len(columns) == tensor.shape[-1], f"{tensor.name}: {len(columns)} columns, {tensor.shape}")
    return tensor


def _require(condition: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as "require (fact), otherwise (text)"
    if not condition:
        raise ManifestError(otherwise)
