"""What a program written for Triton does, unchanged: it asks for readiness and metadata, and infers.

Rule: run by an interpreter that has tritonclient and numpy only. Standard input is JSON with address, authority,
key, model, version and rows; standard output is JSON with what the client understood.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import tritonclient.grpc as triton


def main() -> None:
    task = json.load(sys.stdin)
    rows = np.array(task["rows"], np.float32)
    key = {"x-api-key": task["key"]}
    with triton.InferenceServerClient(task["address"], ssl=True, root_certificates=task["authority"]) as client:
        metadata = client.get_model_metadata(task["model"], task["version"], headers=key, as_json=True)
        (declared_input,), (declared_output,) = metadata["inputs"], metadata["outputs"]
        tensor = triton.InferInput(declared_input["name"], rows.shape, declared_input["datatype"])
        tensor.set_data_from_numpy(rows)
        wanted = triton.InferRequestedOutput(declared_output["name"])
        result = client.infer(
            task["model"], [tensor], task["version"], outputs=[wanted], request_id="from-triton", headers=key
        )
        understood = {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model_ready": client.is_model_ready(task["model"], task["version"], headers=key),
            "other_model_ready": client.is_model_ready("other", headers=key),
            "server": client.get_server_metadata(headers=key).name,
            "metadata": metadata,
            "id": result.get_response().id,
            "outputs": result.as_numpy(declared_output["name"]).tolist(),
            "refusal": refusal(client, tensor, key),
            "without_key": refusal(client, tensor, {})[0],
        }
    json.dump(understood, sys.stdout)


def refusal(client: triton.InferenceServerClient, tensor: triton.InferInput, headers: dict[str, str]) -> list[str]:
    """How the client reports that a model is not served, or not to it."""
    try:
        client.infer("other", [tensor], headers=headers)
    except triton.InferenceServerException as error:
        return [error.status(), error.message()]
    return []


if __name__ == "__main__":
    main()
