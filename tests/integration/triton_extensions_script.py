"""What an administrator's program written for Triton does, unchanged: it reads configuration and statistics, and loads.

Rule: run by an interpreter that has tritonclient and numpy only. Standard input is JSON with address, model, row and
headers; standard output is JSON with what the client understood.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import tritonclient.grpc as triton

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    task = json.load(sys.stdin)
    model, headers, row = task["model"], {"headers": task["headers"]}, np.array([task["row"]], np.float32)
    with triton.InferenceServerClient(task["address"]) as client:
        tensor = triton.InferInput("features", row.shape, "FP32")
        tensor.set_data_from_numpy(row)
        understood = {"before": client.infer(model, [tensor], **headers).get_response().model_version}
        client.load_model(model, **headers)
        understood |= {
            "after": client.infer(model, [tensor], **headers).get_response().model_version,
            "config": client.get_model_config(model, as_json=True, **headers)["config"],
            "statistics": client.get_inference_statistics(model, as_json=True, **headers)["model_stats"],
            "index": client.get_model_repository_index(as_json=True, **headers)["models"],
            "unload": refused(lambda: client.unload_model(model, **headers)),
            "memory": refused(lambda: client.get_system_shared_memory_status(**headers)),
            "stranger": refused(lambda: client.load_model(model)),
        }
    json.dump(understood, sys.stdout)


def refused(call: Callable[[], object]) -> list[str]:
    """How the client reports a call that is refused."""
    try:
        call()
    except triton.InferenceServerException as error:
        return [error.status(), error.message()]
    return []


if __name__ == "__main__":
    main()
