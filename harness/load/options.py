"""The options of a scenario that is run by hand, and the specification that they make.

Rule: a scenario declares only what is its own; everything else that a load needs has an option here, with a default.
"""

from __future__ import annotations

import argparse
import atexit
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.load.spec import MODEL_INFER, LoadSpec
from harness.plan_target import Tls

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.load.spec import Phase


@dataclass(frozen=True, slots=True)
class Option:
    """One command-line option: `flag` is "--name", and `help` gets the default appended."""

    flag: str
    default: float | str
    help: str
    type: Callable[[str], Any] = float
    choices: tuple[str, ...] | None = None


COMMON = (
    Option("--arrivals", "poisson", "law of the arrivals", str, ("poisson", "constant")),
    Option("--seed", 1, "seed of the arrivals and of which request is sent when; one seed, one load", int),
    Option("--timeout", 2.0, "seconds after which a request is given up"),
    Option("--connections", 2, "HTTP/2 connections to spread the requests over", int),
    Option("--in-flight-max", 512, "open requests beyond which a due one is recorded as not sent", int),
    Option("--late-limit", 0.25, "seconds by which a due request may be late before it is recorded as not sent"),
    Option("--drain", 3.0, "seconds that open requests get after the last one was due"),
    Option("--protocol", "grpc", "protocol of the target", str, ("grpc", "http")),
    Option("--method", MODEL_INFER, 'full name of the unary gRPC method; for HTTP like "POST /predict"', str),
    Option("--metadata", "", 'what goes with each request, like "x-api-key=env:KEY, x-team=blue"', str),
    Option("--target-ca", "", "PEM file of who signed the target's certificate; encrypts, like --host https://…", str),
    Option("--client-certificate", "", "PEM file of the client's own certificate, for mutual TLS", str),
    Option("--client-key", "", "PEM file of its key", str),
    Option("--target-name", "", "the name in the target's certificate, where it is not the host", str),
    Option("--requests", "", "pool of requests, or .jsonl of bodies for HTTP; without it, the reference model's", str),
    Option("--ledger", "", "file for one row per request, an Arrow IPC stream; without it, a temporary one", str),
)


def add_options(parser: argparse.ArgumentParser, options: tuple[Option, ...], text: str) -> None:
    """Give `parser` a scenario's own options, the common ones, and `--scenario-help`, which shows them after `text`."""
    own = argparse.ArgumentParser(
        prog="locust -f FILE", add_help=False, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for option in (*options, *COMMON):
        _add_option(own, option)
        _add_option(parser, option)
    parser.add_argument(
        "--scenario-help",
        action=_ShowHelp,
        dest=argparse.SUPPRESS,  # no value, so no field on Locust's web page either
        nargs=0,
        const=own,
        help="Show what this scenario does and its options, and exit",
    )


class _ShowHelp(argparse.Action):
    """Locust answers `--help` before it has read any scenario, so a scenario's options need a help of their own."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Show the help and end the process."""
        del namespace, values, option_string
        self.const.print_help()
        parser.exit()


def _add_option(parser: argparse.ArgumentParser, option: Option) -> None:
    text = f"{option.help} (default: {option.default})" if option.default != "" else option.help
    parser.add_argument(
        option.flag,
        type=option.type,
        default=option.default,
        choices=option.choices,
        help=text,
        metavar=_metavar(option),
    )


def spec_from_options(scenario: str, phases: tuple[Phase, ...], host: str, options: argparse.Namespace) -> LoadSpec:
    """The specification of a scenario run by hand against `host`, with a pool of requests made if none was given."""
    ledger = Path(options.ledger or _own_folder() / f"{scenario}.arrow").absolute()
    return LoadSpec(
        scenario=scenario,
        target=host.rpartition("://")[2].rstrip("/"),
        phases=phases,
        requests=_requests(options, ledger.with_suffix(".requests")),
        ledger=str(ledger),
        zero_ns=time.monotonic_ns(),
        protocol=options.protocol,
        method=options.method,
        metadata=metadata_in(options.metadata),
        tls=_tls(host, options),
        arrivals=options.arrivals,
        seed=options.seed,
        timeout_s=options.timeout,
        in_flight_max=options.in_flight_max,
        late_limit_s=options.late_limit,
        drain_s=options.drain,
        connections=options.connections,
    )


def _requests(options: argparse.Namespace, made: Path) -> str:
    """The pool to draw from: the one given, or one made at `made` of lines that are bodies, or of the golden set."""
    given = Path(options.requests)
    if options.requests and given.suffix != ".jsonl":
        return str(given)
    if options.requests and options.protocol != "http":
        raise ValueError(f"--requests {given}: lines of JSON are bodies of HTTP; for gRPC, run a Plan that names them")
    return str(_pool_of_lines(given, made) if options.requests else _golden_pool(made))


def _pool_of_lines(path: Path, made: Path) -> Path:
    from harness.load.pool import write_pool  # noqa: PLC0415 - numpy, only needed here

    if not write_pool(made, filter(None, (line.strip() for line in path.read_bytes().splitlines()))):
        raise ValueError(f"--requests {path} holds no line")
    return made


def metadata_in(text: str) -> tuple[tuple[str, str], ...]:
    """The pairs in "name=value, other=value". Raises ValueError."""
    pairs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, sign, value = part.partition("=")
        if not sign or not name.strip():
            raise ValueError(f'--metadata: {part!r} is not "name=value"')
        pairs.append((name.strip().lower(), value.strip()))
    return tuple(pairs)


def _tls(host: str, options: argparse.Namespace) -> Tls | None:
    fields = {
        "ca": options.target_ca,
        "certificate": options.client_certificate,
        "key": options.client_key,
        "server_name": options.target_name,
    }
    encrypted = host.partition("://")[0] in {"https", "grpcs"} or any(fields.values())
    return Tls(**fields) if encrypted else None


def _own_folder() -> Path:
    """A folder for what nobody asked to keep; it goes when the process ends."""
    folder = tempfile.mkdtemp(prefix="gonogo-load-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _golden_pool(path: Path) -> Path:
    from harness.load.golden import REFERENCE_VERSION, golden_requests  # noqa: PLC0415 - protobuf, only needed here
    from harness.load.pool import write_pool  # noqa: PLC0415 - with it

    write_pool(path, golden_requests(REFERENCE_VERSION))
    return path


def _metavar(option: Option) -> str | None:
    """Locust's way of naming values in its help."""
    return None if option.choices else f"<{getattr(option.type, '__name__', 'value').replace('str', 'text')}>"
