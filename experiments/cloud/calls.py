"""Sends calls to Google Cloud, or, in a dry run, only writes down those that it would send.

Rule: every write passes `write`, which wants proof that the resource is on the allow-list; reads pass `read`, or are
written down by `reading` where another client sends them. A refusal by Google is an ActivityFailed in its words.
"""

from __future__ import annotations

import functools
import json
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import chaosgcp
from chaoslib.exceptions import ActivityFailed
from google.auth.exceptions import GoogleAuthError
from googleapiclient.errors import Error as GoogleError
from httplib2 import HttpLib2Error

from experiments.cloud.allow_list import Refused

if TYPE_CHECKING:
    from experiments.cloud.allow_list import Allowed

CALL_S = 30.0
"""How long one call may take: several times what Google's interfaces take, so that only a lost answer meets it."""
DRY_RUN_VARIABLE = "GONOGO_DRY_RUN"
"""Environment variable naming the file to which a dry run appends its calls, one JSON document a line."""


def dry_run() -> bool:
    """Whether calls that write are only written down."""
    return DRY_RUN_VARIABLE in os.environ


@functools.cache
def service(name: str, version: str) -> Any:
    """The client of one of Google's interfaces, made from the description that comes with the library.

    Its transport takes its limit from the process's sockets, as its documentation says to set it.
    """
    socket.setdefaulttimeout(CALL_S)
    return chaosgcp.client(name, version=version)


def read(request: Any) -> dict[str, Any]:
    """Send a request that changes nothing and return the answer. Raises ActivityFailed."""
    reading(request.method, request.uri, body(request))
    return _sent(request)


def write(request: Any, allowed: Allowed) -> dict[str, Any]:
    """Send a request that changes what `allowed` names, and return the operation; {} in a dry run.

    Raises Refused when the request acts on anything else, ActivityFailed when it is not accepted. It is sent once: a
    write that is sent again could undo what came between.
    """
    if not allowed.covers(request.uri):
        raise Refused(f"{request.method} {request.uri} does not act on {allowed.path}, which was checked")
    if dry_run():
        note({"write": True, "method": request.method, "url": request.uri, "body": body(request), "by": allowed.reason})
        return {}
    return _sent(request)


def reading(method: str, url: str, content: Any = None) -> None:
    """Write down, in a dry run, a call that is about to be sent and changes nothing."""
    if dry_run():
        note({"write": False, "method": method, "url": url, "body": content})


def note(call: dict[str, Any]) -> None:
    """Append one call to the dry run's file, with when it was made (Unix time, as Chaos Toolkit's journal has it)."""
    with Path(os.environ[DRY_RUN_VARIABLE]).open("a") as file:
        file.write(json.dumps(call | {"at_unix_s": time.time()}, sort_keys=True) + "\n")


def body(request: Any) -> Any:
    """What a request carries, parsed; None when it carries nothing."""
    return json.loads(request.body) if request.body else None


def _sent(request: Any) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = request.execute(num_retries=0)
    except (GoogleError, GoogleAuthError, HttpLib2Error, OSError) as error:
        raise ActivityFailed(f"{request.method} {request.uri}: {error}") from error
    return answer
