"""The names of the metadata that travel with an inference.

Rule: one constant for each name; gRPC wants them in lower case.
"""

from __future__ import annotations

from typing import Final

ZONE: Final = "x-zone"
"""Answer: the zone whose process answered."""
MODEL_VERSION: Final = "x-model-version"
"""Answer: the version of the model that answered."""
REQUEST_ID: Final = "x-request-id"
"""Call and answer: the caller's name for the request, by which logs of both sides join."""
