"""A gRPC user as one writes it for Locust today: gevent, a blocking unary call, one event for each; a closed loop.

Rule: Locust's own means and nothing of ours, so that it can be measured beside ours. The message is serialised in
advance and the answer left as bytes, which spares it work that a usual user does.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.experimental.gevent
from locust import User, constant_throughput, events, task

if TYPE_CHECKING:
    import argparse

grpc.experimental.gevent.init_gevent()

METHOD = "/inference.GRPCInferenceService/ModelInfer"


@events.init_command_line_parser.add_listener
def _(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--message", type=str, help="file of the message to send")
    parser.add_argument("--user-rate", type=float, default=0.0, help="requests per second of each user; 0: no waiting")


class StockUser(User):
    """One of many: sends, waits for the answer, and only then sends again."""

    channel: grpc.Channel | None = None

    def __init__(self, environment: object) -> None:
        super().__init__(environment)
        options = self.environment.parsed_options
        StockUser.channel = StockUser.channel or grpc.insecure_channel(self.host)
        self.call = StockUser.channel.unary_unary(METHOD)
        self.message = Path(options.message).read_bytes()
        self.rate_rps = options.user_rate
        self.pace = constant_throughput(self.rate_rps) if self.rate_rps else None

    def wait_time(self) -> float:
        """Nothing, or what Locust's own pacing of a user asks for."""
        return self.pace(self) if self.pace else 0.0

    @task
    def infer(self) -> None:
        """One request, from sending to its answer."""
        begun, response, failure = time.perf_counter(), b"", None
        try:
            response = self.call(self.message, timeout=5.0)
        except grpc.RpcError as error:
            failure = error
        self.environment.events.request.fire(
            request_type="grpc",
            name="ModelInfer",
            response_time=(time.perf_counter() - begun) * 1000.0,
            response_length=len(response),
            response=response,
            context={},
            exception=failure,
        )
