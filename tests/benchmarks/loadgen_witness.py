"""MLPerf LoadGen, scenario Server, asking one gRPC method: a witness that shares no code with our engine.

Rule: LoadGen alone decides when to ask (a Poisson process), counts from the instant it had scheduled, and reports. Run
in a process of its own: `ADDRESS RATE COUNT MESSAGE_FILE LOG_FOLDER`; needs the extra `bench`.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import mlperf_loadgen as loadgen

if TYPE_CHECKING:
    from collections.abc import Sequence

METHOD = "/inference.GRPCInferenceService/ModelInfer"
TIMEOUT_S = 5.0
CONNECT_LIMIT_S = 5.0
CHANNELS = 2
PR_SET_TIMERSLACK = 29
"""From linux/prctl.h: by how much the kernel may round up LoadGen's sleeps; 50 µs unless told otherwise."""


class Asker:
    """Issues LoadGen's queries by gRPC futures, over two connections as our engine does."""

    def __init__(self, address: str, message: bytes) -> None:
        self._message = message
        self._asked = 0
        channels = [grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(CHANNELS)]
        for channel in channels:
            grpc.channel_ready_future(channel).result(CONNECT_LIMIT_S)
        self._calls = [channel.unary_unary(METHOD) for channel in channels]

    def issue(self, samples: Sequence[loadgen.QuerySample]) -> None:
        """Ask, without waiting."""
        for sample in samples:
            self._asked += 1
            call = self._calls[self._asked % CHANNELS].future(self._message, timeout=TIMEOUT_S)
            call.add_done_callback(functools.partial(_complete, sample.id))


def _complete(sample_id: int, call: grpc.Future) -> None:
    if call.code() is not grpc.StatusCode.OK:
        sys.exit(f"a call ended {call.code()}")
    loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample_id, 0, 0)])


def settings(rate_rps: float, count: int) -> loadgen.TestSettings:
    """Exactly `count` queries, each on its own, at `rate_rps`."""
    test = loadgen.TestSettings()
    test.scenario, test.mode = loadgen.TestScenario.Server, loadgen.TestMode.PerformanceOnly
    test.server_target_qps, test.server_coalesce_queries = rate_rps, False
    test.server_target_latency_ns, test.server_target_latency_percentile = 2_000_000_000, 0.99
    test.min_query_count = test.max_query_count = count
    test.min_duration_ms = round(1000 * count / rate_rps)
    return test


def main(address: str, rate_rps: str, count: str, message: str, folder: str) -> None:
    """Run one test; LoadGen writes its logs into `folder`."""
    log = loadgen.LogSettings()
    log.log_output.outdir, log.log_output.copy_summary_to_stdout = folder, False
    log.enable_trace = False
    asker = Asker(address, Path(message).read_bytes())
    sut = loadgen.ConstructSUT(asker.issue, lambda: None)
    library = loadgen.ConstructQSL(1, 1, lambda _: None, lambda _: None)
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
    sys.setswitchinterval(0.0001)
    gc.disable()
    loadgen.StartTestWithLogSettings(sut, library, settings(float(rate_rps), int(count)), log)
    loadgen.DestroyQSL(library)
    loadgen.DestroySUT(sut)


if __name__ == "__main__":
    main(*sys.argv[1:])
