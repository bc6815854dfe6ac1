"""Writes a first Plan for a running service, and its first requests.

Rule: what is written is a valid Plan that runs as it stands; what only people can choose is a cautious guess, and a
comment says so. No file is overwritten unasked.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.access import AccessError
from harness.discovery import DiscoveryError, discover
from harness.plan import parse_plan
from harness.plan_target import Reference, check_metadata, protocol_of, secret_reference
from harness.requests.pool import RequestsError
from harness.secret import SecretError
from harness.store import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.access import Access
    from harness.discovery import Found

REQUESTS = "requests.jsonl"

PLAN = """\
# A first Plan for {name}, from what {address} says of itself.
# Where it says "choose", the values are guesses. Check it with: gonogo check {file}

[service]
name = {quoted_name}
owner = "nobody yet"                  # choose: the team that is paged

[launch]
stage = "load"                        # load, latency, availability, spike and capacity; no launch decision

[target]
provider = "attached"
address = {quoted_address}
{target}
[slo]                                 # choose: what its users are promised
availability = 0.99
latency_ms_p99 = 500
spike_latency_ms_p99 = 1000

[traffic]                             # choose: requests a second; below 100, --profile quick is too short to decide
launch_rps = 100
spike_rps = 200
six_months_rps = 150
one_year_rps = 200
"""


class InitError(Exception):
    """No Plan was written; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a new Plan; `requests` is None where it needs none."""

    plan: Path
    requests: Path | None
    found: Found


def start_plan(access: Access, output: Path, *, method: str = "", model: str = "", force: bool = False) -> Written:
    """Write a Plan for what `access` leads to into `output`, and an example request beside it.

    Relative paths of `access` are meant from here; in the Plan, they are seen from its folder. Raises InitError.
    """
    _check_call(access, method)
    _refuse_existing(output, force=force)
    try:
        found = discover(access, method=method, model=model)
    except (DiscoveryError, AccessError, SecretError, RequestsError) as error:
        raise InitError(str(error)) from error
    text = plan_text(access, found, output)
    parse_plan(text, str(output))
    requests = output.with_name(REQUESTS) if found.example else None
    if requests:
        _refuse_existing(requests, force=force)
        write_whole(requests, found.example.encode() + b"\n")
    write_whole(output, text.encode())
    return Written(output, requests, found)


def _check_call(access: Access, method: str) -> None:
    """What a Plan would refuse is refused before the service is asked."""
    protocol = protocol_of(method) if method else "grpc"
    if protocol is None:
        raise InitError(f'--method is "/package.Service/Method", or "POST /path" for HTTP, not {method!r}')
    try:
        access.host_and_port  # noqa: B018 - raises where it is none
        for name, value in access.metadata:
            check_metadata(protocol, name, value)
    except (ValueError, AccessError) as error:
        raise InitError(str(error)) from error


def _refuse_existing(path: Path, *, force: bool) -> None:
    if path.exists() and not force:
        raise InitError(f"{path} exists already; --force overwrites it, --output puts the Plan elsewhere")
    if not path.parent.is_dir():
        raise InitError(f"{path.parent}: there is no such folder")


def plan_text(access: Access, found: Found, output: Path) -> str:
    """The Plan, as TOML with comments."""
    folder = output.parent
    return PLAN.format(
        name=_printable(found.name),
        quoted_name=_quoted(found.name),
        address=access.address,
        quoted_address=_quoted(access.address),
        file=output.name,
        target="\n".join(
            [*_keys(found.keys), *_inputs(found), *_metadata(access, folder), *_tls(access, folder), ""],
        ),
    )


def _keys(keys: Mapping[str, str]) -> list[str]:
    return [f"{key} = {_quoted(value)}" for key, value in keys.items() if value]


def _inputs(found: Found) -> list[str]:
    """The requests, and above them what they must hold."""
    takes = [f"# It takes {_printable(text)}" for text in found.inputs]
    if found.example:
        example = "# One made-up example so far: put real ones there, one JSON object a line, or name a .csv and say in"
        return [
            *takes,
            example,
            "# body what its columns make: '{\"user\": {{ user_id }}}'",
            f'requests = "{REQUESTS}"',
        ]
    if found.inputs:
        return [
            *takes,
            "# Zeros are sent until real rows are there: arrays named like the inputs",
            '# requests = "rows.npz"',
        ]
    return []


def _metadata(access: Access, folder: Path) -> list[str]:
    if not access.metadata:
        return []
    return [
        "",
        "[target.metadata]",
        *(f"{_quoted(name)} = {_quoted(_seen(value, folder))}" for name, value in access.metadata),
    ]


def _seen(value: str, folder: Path) -> str:
    match secret_reference(value):
        case Reference(before, "file", path):
            return f"{before}file:{_relative(path, folder)}"
        case _:
            return value


def _tls(access: Access, folder: Path) -> list[str]:
    if access.tls is None:
        return []
    paths = {name: getattr(access.tls, name) for name in ("ca", "certificate", "key")}
    files = {name: _relative(path, folder) for name, path in paths.items() if path}
    return ["", "[target.tls]", *_keys(files | {"server_name": access.tls.server_name})]


def _relative(path: str, folder: Path) -> str:
    return os.path.relpath(path, folder)


def _printable(text: str) -> str:
    """What a service says of itself, fit for a comment: one line."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _quoted(text: str) -> str:
    """A TOML string: what JSON escapes, TOML reads alike."""
    return json.dumps(text, ensure_ascii=False)
