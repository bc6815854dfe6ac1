"""Requests made of a model version's golden set: real rows that the model has not seen, one to a request.

Rule: reads the registry's files by their documented form; of the service, only its protocol is imported.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from reference_service import protocol
from reference_service.protocol.messages import infer_request

REFERENCE_VERSION = Path(protocol.__file__).parents[1] / "models" / "flight-delay" / "1"
"""The reference model that a scenario run by hand asks, unless it is given requests of its own."""


def golden_requests(version: Path) -> list[bytes]:
    """The serialised requests of the golden set in the registry folder `version`.

    They name the model but no version, so that whichever version is routed to answers. Raises FileNotFoundError when
    the folder holds no model.
    """
    manifest = json.loads((version / "manifest.json").read_text(encoding="utf-8"))
    with np.load(version / "golden.npz", allow_pickle=False) as golden:
        rows = golden["inputs"]
    name, tensor = manifest["name"], manifest["inputs"][0]["name"]
    return [infer_request(name, tensor, row).SerializeToString() for row in rows]
