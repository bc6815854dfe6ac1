"""Reads and writes runs: the folder of evidence from which any verdict can be derived again.

Rule: what is loaded was checked against the digest taken when it was written; a file that is gone, changed or
unreadable becomes `Evidence.error`, never a default. Nothing else in the harness reads or writes a run's evidence.

    runs/<id>/run.json  plan.toml  seal.json     identity, the Plan as it was, digests of every document
    runs/<id>/evidence/<evidence id>.json        one document by one collector
    runs/<id>/evidence/<evidence id>/<table>     its attachments (Parquet, JSON lines), digests in the document
    runs/<id>/verdict.json  report.html          derived; never read back as evidence
    runs/<id>/work/                              logs and intermediate files, not evidence
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq

from harness.model import Attachment, Evidence
from harness.plan import LoadedPlan, parse_plan
from harness.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1
_RUN, _PLAN, _SEAL = "run.json", "plan.toml", "seal.json"


class RunError(Exception):
    """The folder is not a run that can be used; the text says what is wrong and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """The identity of a run, frozen when it starts.

    `as_of` is the instant against which expiry is judged, `root` the folder of runs as it was named.
    """

    id: str
    as_of: str
    zero_ns: int
    profile: str
    subject: str
    plan_digest: str
    plan_path: str
    root: str
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run as the pure half sees it."""

    info: RunInfo
    plan: LoadedPlan
    evidence: Mapping[str, Evidence]


class Run:
    """A run being collected: the only way to write evidence."""

    def __init__(self, folder: Path, info: RunInfo) -> None:
        self.folder = folder
        self.info = info
        self.work = folder / "work"
        self.timeline = Timeline(self.work / "timeline.jsonl", info.zero_ns)

    def write(self, evidence: Evidence) -> None:
        """Store one document and its tables (`Evidence.tables` of pandas frames)."""
        attachments = tuple(self._attach(evidence.id, name, table) for name, table in sorted(evidence.tables.items()))
        document = {
            "schema": SCHEMA,
            "id": evidence.id,
            "collector": evidence.collector,
            "subject": evidence.subject,
            "facts": evidence.facts,
            "attachments": [dataclasses.asdict(item) for item in attachments],
            "error": evidence.error,
        }
        write_whole(self.folder / "evidence" / f"{evidence.id}.json", canonical_json(document))

    def _attach(self, evidence_id: str, name: str, table: pd.DataFrame) -> Attachment:
        path = self.folder / "evidence" / evidence_id / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        table.to_parquet(path, index=False, compression="zstd")
        return Attachment(path.name, _sha256(path), path.stat().st_size)

    def seal(self) -> None:
        """Record the digest of every document: the collection is finished."""
        names = [_RUN, _PLAN, *sorted(f"evidence/{path.name}" for path in (self.folder / "evidence").glob("*.json"))]
        files = {name: _sha256(self.folder / name) for name in names}
        write_whole(self.folder / _SEAL, canonical_json({"schema": SCHEMA, "files": files}))


def create_run(root: Path, plan: LoadedPlan, *, profile: str, subject: str, now: dt.datetime, prefix: str = "") -> Run:
    """A new run folder under `root`, with `root/latest` pointing at it. `now` must carry its time zone.

    Its id is the time and a random part, after `prefix`.
    """
    info = RunInfo(
        id=f"{prefix}{now.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        as_of=now.astimezone(dt.UTC).isoformat(timespec="seconds"),
        zero_ns=time.monotonic_ns(),
        profile=profile,
        subject=subject,
        plan_digest=plan.digest,
        plan_path=plan.path.name,
        root=root.as_posix(),
    )
    folder = (root / info.id).resolve()
    (folder / "evidence").mkdir(parents=True)
    (folder / "work").mkdir()
    write_whole(folder / _RUN, canonical_json(dataclasses.asdict(info)))
    write_whole(folder / _PLAN, plan.source)
    _point_latest(root, folder)
    return Run(folder, info)


def load_run(folder: Path) -> LoadedRun:
    """Every document of the run at `folder`, checked. Raises RunError when the folder's identity can't be trusted."""
    info, plan = _load_identity(folder)
    sealed = _load_seal(folder)
    if sealed is None:
        return LoadedRun(info, plan, {})
    for name in (_RUN, _PLAN):
        if sealed.get(name) != _sha256(folder / name):
            raise RunError(f"{folder / name}: changed since it was collected; collect again with: gonogo run")
    names = [name for name in sealed if name.startswith("evidence/")]
    return LoadedRun(info, plan, {Path(name).stem: _load_evidence(folder, name, sealed[name]) for name in names})


def is_sealed(folder: Path) -> bool:
    """Whether the collection of the run at `folder` was finished."""
    return (folder / _SEAL).is_file()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is either whole or not there."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.write_bytes(content)
    temporary.replace(path)


def canonical_json(value: Any) -> bytes:
    """One spelling for one value: sorted keys, UTF-8, a final newline; NaN is refused."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def find_run(path: Path) -> Path:
    """The run folder meant by `path`: itself, or the latest run below it. Raises RunError."""
    for candidate in (path, path / "latest"):
        if (candidate / _RUN).is_file():
            return candidate.resolve()
    raise RunError(f"{path}: no run here (no {_RUN}). Make one with: gonogo run")


def _load_identity(folder: Path) -> tuple[RunInfo, LoadedPlan]:
    try:
        info = RunInfo(**json.loads((folder / _RUN).read_bytes()))
        source = (folder / _PLAN).read_bytes()
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{folder}: not a run that can be read ({error})") from error
    if info.schema != SCHEMA:
        raise RunError(f"{folder}: written in schema {info.schema}, this version reads {SCHEMA}")
    plan = parse_plan(source.decode("utf-8", "replace"), str(folder / _PLAN))
    return info, LoadedPlan(plan, source, folder / _PLAN)


def _load_seal(folder: Path) -> dict[str, str] | None:
    """Digests by file name, or None when the collection never finished."""
    try:
        files = json.loads((folder / _SEAL).read_bytes())["files"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder / _SEAL}: unreadable ({error}); collect again with: gonogo run") from error
    return {str(name): str(digest) for name, digest in files.items()}


def _load_evidence(folder: Path, name: str, digest: str) -> Evidence:
    evidence_id = Path(name).stem
    try:
        content = (folder / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            return _broken(evidence_id, f"{name} changed since it was collected")
        document = json.loads(content)
        attachments = tuple(Attachment(**item) for item in document["attachments"])
        tables = {Path(item.name).stem: _load_table(folder, evidence_id, item) for item in attachments}
    except FileNotFoundError as error:
        return _broken(evidence_id, f"{Path(error.filename).relative_to(folder)} is missing")
    except (OSError, ValueError, KeyError, TypeError) as error:
        return _broken(evidence_id, f"{name}: {error}")
    fields = {key: document[key] for key in ("id", "collector", "subject", "facts", "error")}
    return Evidence(**fields, tables=tables, attachments=attachments)


def _load_table(folder: Path, evidence_id: str, item: Attachment) -> pd.DataFrame:
    path = folder / "evidence" / evidence_id / item.name
    if _sha256(path) != item.sha256:
        raise ValueError(f"attachment {item.name} changed since it was collected")
    with pq.ParquetFile(path) as file:
        columns = {name: file.read([name]).column(0).to_pandas().array for name in file.schema_arrow.names}
    return pd.DataFrame(columns, copy=False)  # column by column, and none copied: the ledger's are large


def _broken(evidence_id: str, error: str) -> Evidence:
    return Evidence(id=evidence_id, collector="", subject="", error=error)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _point_latest(root: Path, folder: Path) -> None:
    temporary = root / f".latest-{secrets.token_hex(4)}"
    temporary.symlink_to(folder.name)
    temporary.replace(root / "latest")
