"""Metrics in Prometheus' text format, on a port of their own.

Rule: the hot path adds to plain lists, about a microsecond a call; what Prometheus wants is made of them when it asks,
on a thread of the exporter's. Labels have few values: codes, stages, reasons, and clients that proved who they are.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily

from reference_service.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client.core import Metric

BOUNDS_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""From one bare inference to twenty times a latency objective of 50 ms, which is a bound itself: the share of answers
within it is then exact."""
ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
STAGES: Final = ("admit", "read", "infer", "answer", "total")
CODES: Final = 17


class Histogram:
    """Counts of values up to each of `bounds`, and above."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative, as Prometheus has them."""
        seen, found = 0, []
        for bound, count in zip([*map(str, self.bounds), "+Inf"], self.counts, strict=True):
            seen += count
            found.append((bound, float(seen)))
        return found


class Metrics:
    """What was counted, and `gauges`: things to look at when asked, by name, each with its meaning."""

    def __init__(self) -> None:
        self.codes = [0] * CODES
        self.refusals: dict[str, int] = {}
        self.batches: dict[str, Histogram] = {}
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self.by_label: dict[str, tuple[str, str, Callable[[], Mapping[str, float]]]] = {}
        self.info: Callable[[], Mapping[str, str]] = dict
        self._stages = tuple(Histogram(BOUNDS_S) for _ in STAGES)

    def answered(self, admit_ns: int, read_ns: int, infer_ns: int, answer_ns: int) -> None:
        """Count an inference that was answered, by how long each stage took."""
        self.codes[0] += 1
        took = (admit_ns, read_ns, infer_ns, answer_ns, admit_ns + read_ns + infer_ns + answer_ns)
        for histogram, stage_ns in zip(self._stages, took, strict=True):
            histogram.add(stage_ns * 1e-9)

    def ended(self, code: int, reason: str) -> None:
        """Count an inference that was not."""
        self.codes[code] += 1
        self.refusals[reason] = self.refusals.get(reason, 0) + 1

    def dispatched(self, reason: str, requests: int, rows: int, waited_s: float) -> None:
        """Count a run of the engine over the rows of several requests."""
        del requests, waited_s
        self.batches.setdefault(reason, Histogram(ROWS)).add(rows)

    def collect(self) -> Iterator[Metric]:
        """Everything, in Prometheus' types."""
        requests = CounterMetricFamily("inference_requests", "Inferences by gRPC status code.", labels=["code"])
        for code, count in enumerate(self.codes):
            if count:
                requests.add_metric([str(code)], count)
        yield requests
        refusals = CounterMetricFamily("inference_refusals", "Inferences not answered, by reason.", labels=["reason"])
        for reason, count in list(self.refusals.items()):
            refusals.add_metric([reason], count)
        yield refusals
        yield _histograms("inference_seconds", "Duration of answered inferences by stage.", "stage", self._durations())
        yield _histograms("batch_rows", "Rows in a run of the engine, by why it began.", "reason", dict(self.batches))
        yield from self._looked_at()

    def _durations(self) -> dict[str, Histogram]:
        return dict(zip(STAGES, self._stages, strict=True))

    def _looked_at(self) -> Iterator[Metric]:
        yield InfoMetricFamily("model", "What is current.", dict(self.info()))
        for name, (meaning, read) in self.gauges.items():
            yield GaugeMetricFamily(name, meaning, read())
        for name, (meaning, label, read_all) in self.by_label.items():
            family = GaugeMetricFamily(name, meaning, labels=[label])
            for value, number in dict(read_all()).items():
                family.add_metric([value], number)
            yield family


def expose(metrics: Metrics, listen: str) -> tuple[str, Callable[[], None]]:
    """Answer Prometheus on `listen` (HOST:PORT, port 0 picks a free one); the address, and what ends it.

    Raises:
        StartError: the address can't be listened on.
    """
    host, _, port = listen.rpartition(":")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    try:
        server, thread = start_http_server(int(port), host, registry)
    except (OSError, ValueError, OverflowError) as error:
        raise StartError(f"metrics can't be had on {listen!r}: expected HOST:PORT with a free port") from error

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return f"{host}:{server.server_port}", close


def _histograms(name: str, meaning: str, label: str, by_value: Mapping[str, Histogram]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, meaning, labels=[label])
    for value, histogram in by_value.items():
        family.add_metric([value], histogram.buckets(), histogram.total)
    return family
