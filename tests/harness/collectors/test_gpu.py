"""What check-gpu wrote is taken over as it stands, under the subject that it names, or the error says what to do."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.collectors import CollectError, Context
from harness.collectors.gpu import collect
from harness.plan import load_plan
from harness.plan_types import Gpu
from harness.profiles import PROFILES
from harness.store import create_run

if TYPE_CHECKING:
    from harness.model import Evidence

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
REFERENCE = Path(__file__).parents[3] / "reference_service" / "readiness.toml"


class Quiet:
    def step(self, title: str, expected_s: float) -> None:
        assert title
        assert expected_s == 0


def collected(folder: Path, evidence: str | None) -> tuple[Evidence, ...]:
    """What a run in `folder` collects, with `evidence` named in its Plan."""
    loaded = load_plan(REFERENCE)
    plan = dataclasses.replace(loaded.plan, gpu=None if evidence is None else Gpu(evidence=evidence))
    loaded = dataclasses.replace(loaded, plan=plan, path=folder / "readiness.toml")
    run = create_run(folder / "runs", loaded, profile="quick", subject="a@1 sha256:00", now=NOW)
    return collect(Context(run=run, loaded=loaded, profile=PROFILES["quick"], progress=Quiet()))


def test_the_document_is_taken_over_with_its_subject_and_digest(tmp_path: Path) -> None:
    content = json.dumps({"subject": "b@2 sha256:11", "anything": [1.5]}).encode()
    (tmp_path / "gpu.json").write_bytes(content)
    (evidence,) = collected(tmp_path, "gpu.json")
    assert (evidence.id, evidence.subject, evidence.error) == ("gpu", "b@2 sha256:11", None)
    assert evidence.facts["found"] == json.loads(content)
    assert evidence.facts["sha256"] == hashlib.sha256(content).hexdigest()
    assert evidence.facts["as_of"] == "2026-03-01T12:00:00+00:00"


def test_a_plan_that_names_none_has_none(tmp_path: Path) -> None:
    assert collected(tmp_path, None) == ()


def test_a_file_that_is_not_there_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(CollectError, match=r"gpu.json: No such file or directory; run reference-service check-gpu"):
        collected(tmp_path, "gpu.json")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"subject": 7}', b"\xff", b'{"subject": "a", "x": NaN}'])
def test_a_file_that_check_gpu_did_not_write_is_an_error(tmp_path: Path, content: Any) -> None:
    (tmp_path / "gpu.json").write_bytes(content)
    with pytest.raises(CollectError, match="was not written by reference-service check-gpu"):
        collected(tmp_path, "gpu.json")
