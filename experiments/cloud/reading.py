"""Clients that only read, apart from those that write, and what several readings share.

Rule: an error of the interface is an ActivityFailed that names what was read.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import chaosgcp
from chaoslib.exceptions import ActivityFailed
from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError
from googleapiclient.errors import Error as GoogleError
from httplib2 import HttpLib2Error

from experiments.cloud import calls

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

COMPUTE = "https://compute.googleapis.com/compute/v1"


@contextlib.contextmanager
def told(what: str) -> Generator[None]:
    """Raise ActivityFailed, naming `what` was read, for whatever a client of Google's raises inside."""
    try:
        yield
    except (GoogleAPIError, GoogleAuthError, GoogleError, HttpLib2Error, OSError) as error:
        raise ActivityFailed(f"{what} can't be read: {error}") from error


def compute_client(kind: Callable[..., Any]) -> Any:
    """A client of Compute Engine's, with the credentials that chaosgcp finds."""
    return kind(credentials=chaosgcp.load_credentials())


def finished(path: str) -> bool:
    """Whether no operation of Compute Engine on the resource at `path` is still under way.

    An operation names its target by the project's name or its number; what follows that is compared.
    """
    from google.cloud import compute_v1  # noqa: PLC0415 - takes a second; only Compute Engine's experiments need it

    _, project, kind, *rest = path.split("/")
    where = {"zones": "zone", "regions": "region"}.get(kind)
    calls.reading("GET", f"{COMPUTE}/projects/{project}/{f'{kind}/{rest[0]}' if where else 'global'}/operations")
    arguments = {"project": project, "filter": "status != DONE"} | ({where: rest[0]} if where else {})
    name = (where or "global").capitalize()
    request = getattr(compute_v1, f"List{name}OperationsRequest")(**arguments)
    client = compute_client(getattr(compute_v1, f"{name}OperationsClient"))
    target = "/" + "/".join([kind, *rest])
    with told(f"the operations of {path}"):
        found = list(client.list(request=request, timeout=calls.CALL_S))
    return all(one.status == compute_v1.Operation.Status.DONE for one in found if one.target_link.endswith(target))
