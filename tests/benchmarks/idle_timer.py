"""Sleeps to the instants of a Poisson process and does nothing else; prints its overshoot quantiles as JSON.

Rule: standard library only, a process of its own: what it shows is the machine's share of any pacer's lag.
`time.sleep` waits by clock_nanosleep(2) on an absolute instant of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import ctypes
import gc
import json
import random
import sys
import time

PR_SET_TIMERSLACK = 29
"""From linux/prctl.h. The kernel may round a sleep up by 50 µs unless told otherwise; timerfd is never rounded."""


def overshoots_ns(rate_rps: float, seconds: float) -> list[int]:
    """How much too late each wake-up was, sorted."""
    draw, late_ns = random.Random(1), []  # noqa: S311 - arrivals, no secrets
    due_ns = time.monotonic_ns()
    end_ns = due_ns + round(seconds * 1e9)
    while (due_ns := due_ns + round(draw.expovariate(rate_rps) * 1e9)) < end_ns:
        if (left_ns := due_ns - time.monotonic_ns()) > 0:
            time.sleep(left_ns / 1e9)
        late_ns.append(time.monotonic_ns() - due_ns)
    return sorted(late_ns)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
    gc.disable()
    late = overshoots_ns(float(sys.argv[1]), float(sys.argv[2]))
    quantiles = {name: late[int(share * len(late))] / 1e6 for name, share in (("p50", 0.5), ("p99", 0.99))}
    sys.stdout.write(json.dumps(quantiles | {"max": late[-1] / 1e6, "n": len(late)}))
