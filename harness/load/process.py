"""Starts a scenario as a Locust subprocess and waits for it.

Rule: a scenario runs exactly as it would by hand, by the real `locust`; only its specification comes from a file. The
process dies with the one that started it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.load.spec import LoadSpec

ROOT = Path(harness.__file__).parents[1]
SCENARIOS = ROOT / "scenarios"
LOCUST = ("-m", "locust", "--headless", "--only-summary", "--users", "1", "--exit-code-on-error", "0")
TAIL_LINES = 20


class ScenarioError(Exception):
    """A scenario did not run to its end; the text ends with the last lines of its log."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A running scenario. Its ledger is `spec.ledger`; what Locust printed is in `log`."""

    spec: LoadSpec
    process: subprocess.Popen[bytes]
    log: Path

    def wait(self, limit_s: float | None = None) -> None:
        """Wait for the end: by default for the whole load, its drain, and half a minute for Locust around it.

        Raises ScenarioError when it takes longer (then it is stopped) or ends with another exit code than 0.
        """
        limit_s = self.spec.duration_s + self.spec.drain_s + 30.0 if limit_s is None else limit_s
        try:
            code = self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.stop()
            raise ScenarioError(f"{self.spec.scenario} did not end within {limit_s:g} s\n{self._tail()}") from None
        if code != 0:
            raise ScenarioError(f"{self.spec.scenario} ended with exit code {code}\n{self._tail()}")

    def stop(self, limit_s: float = 5.0) -> None:
        """End it early: the ledger then lacks what was not yet due. Harmless when it has ended."""
        self.process.terminate()
        try:
            self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()  # frozen, perhaps: that heeds nothing less
            self.process.wait()

    def _tail(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([f"the end of {self.log}:", *lines[-TAIL_LINES:]])


def start_scenario(
    spec: LoadSpec,
    directory: Path,
    *,
    tethered: Callable[[Sequence[str]], list[str]],
    file: Path | None = None,
) -> Scenario:
    """Start `spec` by `file`, by default the Locust file of the scenario's name; logs and such go to `directory`.

    `tethered` ties a command to this process (harness.fleet.tether). Call it from the main thread.
    """
    spec_path, log = directory / f"{spec.scenario}.spec.json", directory / f"{spec.scenario}.log"
    spec_path.write_text(spec.to_json(), encoding="utf-8")
    locustfile = file or SCENARIOS / f"{spec.scenario}.py"
    with log.open("wb") as output:
        process = subprocess.Popen(
            tethered([sys.executable, *LOCUST, "--locustfile", str(locustfile)]),
            cwd=directory,
            env=_environment(spec_path),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Scenario(spec, process, log)


def _environment(spec_path: Path) -> dict[str, str]:
    """This process's environment without the caller's own settings for Locust, which would change the load."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("LOCUST_")}
    path = os.pathsep.join(filter(None, [str(ROOT), inherited.get("PYTHONPATH", "")]))
    return inherited | {
        "PYTHONPATH": path,
        "GONOGO_LOAD_SPEC": str(spec_path.absolute()),
        "LOCUST_SKIP_MONKEY_PATCH": "1",
    }
