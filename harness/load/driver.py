"""Follows a running load from Locust's greenlets: shows what was recorded, until it has ended.

Rule: only looks on. The engine keeps time on its own thread, and nothing here can delay a request.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import gevent

from harness.load import locust_stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.load.generator import Generator

REPORT_S = 0.2


def drive(generator: Generator, environment: Any, also: Callable[[], None] = lambda: None) -> None:
    """Return when the load has ended, its rows counted in Locust's statistics; `also` is called now and then.

    Raises what broke the load.
    """
    while generator.running:
        _show(generator, environment)
        also()
        gevent.sleep(REPORT_S)
    _show(generator, environment)
    if generator.error is not None:
        raise generator.error


def _show(generator: Generator, environment: Any) -> None:
    spec = generator.spec
    epoch_ns = time.time_ns() - time.monotonic_ns() + spec.zero_ns + generator.clock.offset_ns
    while (batch := generator.take()) is not None:
        name = spec.method.rpartition("/")[2] if spec.protocol == "grpc" else spec.method.partition(" ")[2]
        locust_stats.count(environment.stats, batch, method=spec.protocol, name=name, epoch_ns=epoch_ns)
