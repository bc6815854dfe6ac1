"""Watches over the calls that chaostoolkit-kubernetes makes to a cluster: what they may write, and for how long.

Rule: its functions choose nodes anew by themselves and set no limit on a call. Inside `guarded`, every call of this
process's Kubernetes client has a limit, and only the nodes and pods that were named can be written. In a dry run writes
are only written down, and a pod that would be evicted then reads as gone, as it would be.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from chaoslib.exceptions import ActivityFailed
from kubernetes.client.exceptions import ApiException
from kubernetes.client.rest import RESTClientObject
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from experiments.cloud import calls
from experiments.cloud.allow_list import Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Generator

_NODE = re.compile(r"/api/v1/nodes/([^/]+)")
_EVICTION = re.compile(r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/eviction")
_client: Any = RESTClientObject
_send = _client.request


@dataclass
class Accepted:
    """What the client takes for a cluster's answer to a write that was only written down."""

    status: int = 200
    reason: str = "OK"
    data: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    def read(self) -> bytes:
        """The body."""
        return self.data

    def getheaders(self) -> dict[str, str]:
        """The headers."""
        return self.headers


@dataclass
class Guard:
    """Decides on one call after the other. `pods` are "namespace/name"; `reason` is why these may be written."""

    nodes: Collection[str]
    pods: Collection[str]
    reason: str
    evicted: set[str] = field(default_factory=set)

    def sent(self, client: Any, method: str, url: str, **options: Any) -> Any:
        """The answer to a call, which is sent, or refused, or only written down."""
        path = unquote(urlsplit(url).path)
        if method == "GET":
            if path in self.evicted:
                raise ApiException(status=404, reason="it would be evicted")
            calls.reading(method, url)
        elif not self._may(method, path):
            raise Refused(f"{method} {url} acts on no node that was checked and on no pod that was seen on one")
        elif calls.dry_run():
            calls.note({"write": True, "method": method, "url": url, "body": options.get("body"), "by": self.reason})
            self.evicted.add(path.removesuffix("/eviction"))
            return Accepted()
        return _send(client, method, url, **options | {"_request_timeout": calls.CALL_S})

    def _may(self, method: str, path: str) -> bool:
        if method == "PATCH" and (node := _NODE.fullmatch(path)):
            return node[1] in self.nodes
        if method == "POST" and (pod := _EVICTION.fullmatch(path)):
            return f"{pod[1]}/{pod[2]}" in self.pods
        return False


@contextlib.contextmanager
def guarded(nodes: Collection[str] = (), pods: Collection[str] = (), reason: str = "") -> Generator[None]:
    """Watch over every call of the Kubernetes client inside. Raises ActivityFailed for what the cluster refuses."""
    guard = Guard(nodes, pods, reason)

    def request(client: Any, method: str, url: str, **options: Any) -> Any:
        return guard.sent(client, method, url, **options)

    _client.request = request
    try:
        yield
    except ApiException as error:
        raise ActivityFailed(f"the cluster refuses: {error.status} {error.reason} {error.body or ''}") from error
    except (ConfigException, HTTPError, OSError) as error:
        raise ActivityFailed(f"the cluster can't be reached: {error}") from error
    finally:
        _client.request = _send
