"""What the fleet's tests share: a specification with the stand-in, waiting for a condition, and a small load.

Rule: every wait has a limit and says what it waited for.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import grpc
import psutil

from harness.fleet.spec import FleetSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.fleet.lifecycle import Fleet

METHOD = "/inference.GRPCInferenceService/ModelInfer"
RATE_RPS = 100
KeyOf = Callable[[int], str]
STANDIN = Path(__file__).with_name("standin_service.py")
STANDIN_COMMAND = (
    *("{python}", str(STANDIN), "--zone", "{zone}", "--version", "{version}"),
    *("--listen", "{listen}", "--prediction-log", "{prediction_log}", "--config", "{config}"),
)


def standin_spec(directory: Path, *, candidate: str = "", **changes: object) -> FleetSpec:
    """Three zones of one stand-in each."""
    fields: dict[str, object] = {
        "zones": ("zone-a", "zone-b", "zone-c"),
        "registry": directory,
        "model": "echo",
        "version": "1",
        "candidate": candidate,
        "directory": directory,
        "service_command": STANDIN_COMMAND,
    }
    return FleetSpec(**(fields | changes))  # type: ignore[arg-type]  # the test names the fields it changes


def wait_until(condition: Callable[[], object], limit_s: float, what: str) -> float:
    """Seconds until `condition` held; fails the test, naming `what`, after `limit_s`."""
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < limit_s, f"after {limit_s} s not yet: {what}"
        time.sleep(0.01)
    return time.monotonic() - began_s


def is_gone(pid: int) -> bool:
    """Whether the process table has no living process `pid`; a zombie only waits for its parent to look."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def all_gone(pids: Iterable[int]) -> bool:
    """Whether every one of them is gone."""
    return all(is_gone(pid) for pid in pids)


class Answer(NamedTuple):
    """One request of the load: when it was sent, how long it took, and who answered what."""

    request_id: str
    sent_s: float
    took_s: float
    code: int
    zone: str
    version: str


class Load:
    """An open loop of requests through a fleet's edge in a thread of its own, from entering to leaving it.

    They carry the key of the harness's load, or of each request the one that `key_of` gives for its number.
    """

    def __init__(
        self, fleet: Fleet, message: bytes = b"ping", rate_rps: float = RATE_RPS, key_of: KeyOf | None = None
    ) -> None:
        self.answers: list[Answer] = []
        self._fleet = fleet
        own = Path(fleet.reach.load_key).read_text()
        self._key_of = key_of or (lambda _: own)
        self._message = message
        self._interval_s = 1 / rate_rps
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send()))

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self.answers, 5, "the first answer to the load")
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def failures(self) -> list[Answer]:
        """Requests that were not answered OK."""
        return [answer for answer in self.answers if answer.code != 0]

    def since(self, moment_s: float) -> list[Answer]:
        """Requests sent after `moment_s` (time.monotonic) that are answered by now."""
        return [answer for answer in self.answers if answer.sent_s >= moment_s]

    async def _send(self) -> None:
        options = (("grpc.enable_http_proxy", 0),)
        credentials = self._fleet.reach.channel_credentials()
        async with grpc.aio.secure_channel(self._fleet.address, credentials, options=options) as channel:
            call = channel.unary_unary(METHOD)
            began_s, pending = time.monotonic(), []
            while not self._ended.is_set():
                pending.append(asyncio.create_task(self._one(call, len(pending))))
                await asyncio.sleep(began_s + len(pending) * self._interval_s - time.monotonic())
            await asyncio.gather(*pending)

    async def _one(self, call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes], number: int) -> None:
        sent_s, request_id = time.monotonic(), f"{number:016x}"
        answer = call(
            self._message, metadata=(("x-request-id", request_id), ("x-api-key", self._key_of(number))), timeout=2.0
        )
        code = (await answer.code()).value[0]
        received = dict(await answer.trailing_metadata()) if code == 0 else {}
        took_s = time.monotonic() - sent_s
        zone, version = str(received.get("x-zone", "")), str(received.get("x-model-version", ""))
        self.answers.append(Answer(request_id, sent_s, took_s, code, zone, version))
