"""The one process that owns a fleet: `python -m harness.fleet.supervisor SPEC.json [--leased]`.

Rule: one thread, which spawns every process, so that the kernel kills them all when the supervisor dies. Whatever else
ends it (a broken lease, SIGTERM, SIGINT, `down`, an error of its own) kills them all first and removes its sockets.
With --leased, standard input is a lease from the first moment on: the fleet ends when its other end closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.fleet.client import FleetError
from harness.fleet.control_socket import ControlSocket
from harness.fleet.local_fleet import LocalFleet
from harness.fleet.spec import FleetSpec
from harness.fleet.zone_faults import REQUESTS
from harness.process_identity import OWNER_VARIABLE, own_identity

if TYPE_CHECKING:
    from collections.abc import Sequence

OBEYED = frozenset({"status", "kill", "start", "freeze", "thaw", "route", "certify"})
"""Requests that are methods of LocalFleet; `lease` and `down` are about the supervisor itself."""

TEND_INTERVAL_S = 0.5
"""How soon the edge counts a new client by its name (whether a key holds, the service says by itself), and a sidecar
that nobody needs is ended."""


class Supervisor:
    """Obeys the control socket until something ends it."""

    def __init__(self, fleet: LocalFleet) -> None:
        self._fleet = fleet
        self._ended = asyncio.Event()
        self._noted: set[int] = set()

    async def supervise(self, control: ControlSocket, *, leased: bool) -> None:
        """Start the fleet and obey until the end; the caller kills what is left."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._end, "SIGTERM")
        loop.add_signal_handler(signal.SIGINT, self._end, "SIGINT")
        loop.add_signal_handler(signal.SIGCHLD, self._note_deaths)
        if leased:  # nobody writes to it, so it becomes readable only by its end
            loop.add_reader(sys.stdin.fileno(), self._end, "the lease is broken")
        self._fleet.start_all()
        log("started", pids=[process.pid for process in self._fleet.processes()])
        server = await asyncio.start_unix_server(self._converse, sock=control.listen())
        tending = asyncio.create_task(self._tend())
        await self._ended.wait()
        tending.cancel()
        server.close()  # without waiting for its connections: a lease stays open until we are gone

    def _end(self, why: str) -> None:
        if not self._ended.is_set():
            log("ending", why=why)
        self._ended.set()

    def _note_deaths(self) -> None:
        for process in self._fleet.processes():
            if process.died_unasked() and process.pid not in self._noted:
                self._noted.add(process.pid)
                log("died_unasked", name=process.name, pid=process.pid, exit_code=process.exit_code())

    async def _tend(self) -> None:
        """Tell the edge of every change to the keys; a file that is none leaves it with those that it has."""
        while True:
            await asyncio.sleep(TEND_INTERVAL_S)
            self._fleet.faults.tend()
            try:
                if self._fleet.edge.follow_keys():
                    log("keys_changed")
            except (OSError, ValueError) as error:
                log("keys_unreadable", error=str(error))

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request and its reply; a lease then lasts as long as the connection."""
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            request = await reader.readline()
            reply = self._obey(request)
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
            if reply.get("leased"):
                await reader.read()
                self._end("the lease is broken")

    def _obey(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            return self._do(**request)
        except FleetError as error:
            return {"error": str(error)}
        except (TypeError, ValueError) as error:
            return {"error": f"not a request that the supervisor understands: {error}"}

    def _do(self, do: str, **arguments: Any) -> dict[str, Any]:
        if do not in OBEYED | REQUESTS | {"lease", "down"}:
            raise FleetError(f"the supervisor does not know {do!r}")
        if do != "status":
            log("asked", do=do, **arguments)
        if do == "lease":
            return {"leased": True}
        if do == "down":
            self._fleet.kill_all()
            self._end("down")
            return {}
        reply: dict[str, Any] = getattr(self._fleet.faults if do in REQUESTS else self._fleet, do)(**arguments)
        return reply


def log(event: str, **facts: object) -> None:
    """One JSON line on standard error, which is the fleet's `supervisor.log`."""
    sys.stderr.write(json.dumps({"event": event, **facts}) + "\n")
    sys.stderr.flush()


def main(arguments: Sequence[str]) -> int:
    """Supervise the fleet of SPEC.json to its end; 1 if it could not be started, for the reason logged."""
    os.environ[OWNER_VARIABLE] = str(own_identity())  # inherited by every process of the fleet, and by theirs
    spec = FleetSpec.from_json(Path(arguments[0]).read_text())
    if spec.control is None:
        raise ValueError("the supervisor needs to be told its control socket")
    try:
        with ControlSocket(spec.control) as control:
            fleet = LocalFleet(spec, spec.control.parent)
            try:
                asyncio.run(Supervisor(fleet).supervise(control, leased="--leased" in arguments))
            finally:
                fleet.kill_all()
                fleet.remove_secrets()
                fleet.edge.remove_leftovers()
                fleet.remove_models()
    except (FleetError, OSError) as error:
        log("failed", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
