"""Own and foreign CPU time are told apart."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from harness.collectors import CollectError
from harness.collectors.machine import CpuSampler
from harness.collectors.sampling import sampled

if TYPE_CHECKING:
    import threading

SPIN = "import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"


def test_what_a_child_burns_is_own_even_after_it_ended() -> None:
    sampler = CpuSampler()
    began = time.monotonic()
    child = subprocess.Popen([sys.executable, "-c", SPIN.format(seconds=1.0)])
    own = []
    while child.poll() is None:
        last = time.monotonic()
        time.sleep(0.2)
        own.append(sampler.sample(time.monotonic() - last)[1] * (time.monotonic() - last))
    assert sum(own) > 0.5 * (time.monotonic() - began) - 0.4


def test_what_others_burn_is_busy_but_not_own() -> None:
    program = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SPIN.format(seconds=2.0)!r}])"
    subprocess.run([sys.executable, "-c", program], check=True)  # its child is now an orphan: not ours any more
    sampler = CpuSampler()
    time.sleep(1.0)
    busy, own = sampler.sample(1.0)
    assert busy - own > 0.4


def test_a_sampler_that_died_leaves_no_evidence() -> None:
    def dies(_stop: threading.Event) -> None:
        raise OSError("too many open files")

    with sampled("dying", dies) as sampling:
        pass
    with pytest.raises(CollectError, match="too many open files"):
        sampling.require_whole()
