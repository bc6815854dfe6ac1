"""Takes over what `reference-service check-gpu` found on a machine with a GPU.

Rule: the document is the evidence, as it stands, under the subject that it names; what is added is its digest and the
date against which its age is judged. A Plan that names none has no such evidence.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from harness.collectors import CollectError, Collector, Context
from harness.model import Evidence


def collect(context: Context) -> tuple[Evidence, ...]:
    """The document that the Plan's `gpu.evidence` names."""
    if context.plan.gpu is None:
        return ()
    path = context.loaded.resolve(context.plan.gpu.evidence)
    context.progress.step("GPU: what reference-service check-gpu found", 0)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CollectError(f"{path}: {error.strerror}; run reference-service check-gpu on a GPU") from error
    document = _document(content)
    if not isinstance(document, dict) or not isinstance(document.get("subject"), str):
        raise CollectError(f"{path} was not written by reference-service check-gpu; run it again, on a GPU")
    facts = {"found": document, "sha256": hashlib.sha256(content).hexdigest(), "as_of": context.run.info.as_of}
    return (Evidence(id="gpu", collector="gpu", subject=document["subject"], facts=facts),)


def _document(content: bytes) -> Any:
    """What the JSON says; None if it is none."""
    try:
        return json.loads(content, parse_constant=_no_number)
    except ValueError:
        return None


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


COLLECTORS = (Collector(ids=("gpu",), order=15, collect=collect, phase="before"),)
