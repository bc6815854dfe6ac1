"""What TLS takes: certificates for a server and a client, and a way to give h2load the client's.

Rule: made anew for each run. h2load has no option for a certificate, so a library loaded before OpenSSL sets it on each
context; the program and its other options stay the same.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from tests.benchmarks.peers.environments import UnavailableError
from tests.reference_service.certificates import signed

if TYPE_CHECKING:
    from pathlib import Path

_PRELOAD: Final = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
extern int SSL_CTX_use_certificate_chain_file(void *, const char *);
extern int SSL_CTX_use_PrivateKey_file(void *, const char *, int);
void *SSL_CTX_new(const void *method) {
  void *(*original)(const void *) = dlsym(RTLD_NEXT, "SSL_CTX_new");
  void *context = original(method);
  const char *certificate = getenv("H2LOAD_CERTIFICATE"), *key = getenv("H2LOAD_KEY");
  if (context && certificate && key &&
      (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
       SSL_CTX_use_PrivateKey_file(context, key, 1) != 1))
    exit(70);
  return context;
}
"""


def write_identities(folder: Path) -> None:
    """Put `ca.pem`, and a certificate and key each for `server` and `client`, into `folder`."""
    authority = signed("bench authority")
    (folder / "ca.pem").write_bytes(authority.chain_pem)
    signed("localhost", authority).write(folder, "server")
    signed("client", authority).write(folder, "client")


def preload(folder: Path) -> Path:
    """The library that gives h2load a certificate; raises UnavailableError without a C compiler."""
    if shutil.which("cc") is None:
        raise UnavailableError("h2load can't present a certificate, and there is no C compiler to teach it")
    source, made = folder / "preload.c", folder / "preload.so"
    source.write_text(_PRELOAD)
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", made, source, "-ldl"], check=True, timeout=60)
    return made
