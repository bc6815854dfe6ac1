"""What one request costs the service besides gRPC itself: read, infer, answer, record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_service.contract import Contract
from reference_service.loading import load_engine
from reference_service.protocol.messages import infer_request
from reference_service.telemetry import PredictionLog
from tests.reference_service.running import on_cpu
from tests.reference_service.tiny_registry import MODEL, tiny_rows, write_tiny_version

if TYPE_CHECKING:
    from pathlib import Path


def test_one_request_from_message_to_message(benchmark: Any, tmp_path: Path) -> None:
    version = write_tiny_version(tmp_path)
    contract, engine = Contract.of(version.manifest), load_engine(version, on_cpu)
    request = infer_request(MODEL, "features", tiny_rows(1), request_id="abc")

    def answer() -> bytes:
        return contract.answer(request, engine.infer(contract.read(request))).SerializeToString()

    assert benchmark(answer)


def test_one_record_of_the_prediction_log(benchmark: Any, tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log", "zone-a")
    rows = tiny_rows(1)
    benchmark(log.add, "00000000000000ff", "1", rows, rows[:, :1])
