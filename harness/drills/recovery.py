"""The way back from a disaster: the newest backup that can be trusted, and what of it was restored.

Rule: a backup that is refused is told of, with its reason, and an older one is tried; nothing else is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from harness.artifact import ArtifactError, load_artifact
from harness.backup import FILES, STATE, BackupError, backups
from harness.collectors import CollectError
from harness.restore import restore

if TYPE_CHECKING:
    from pathlib import Path

    from harness.drills.rig import Rig


@dataclass(slots=True, kw_only=True)
class Restored:
    """What the way back came to: `backup` is the one restored from, "" if none, and then `why`.

    `subject` is what the registry held afterwards; `left_behind` whether a refused restore left a file; `start_error`
    why the service did not start from what was restored.
    """

    backup: str = ""
    taken: str = ""
    why: str = ""
    subject: str = ""
    spoiled: str = ""
    left_behind: bool = False
    start_error: str = ""
    refused: list[dict[str, str]] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """As evidence tells it."""
        return asdict(self)


def recover(rig: Rig, *, registry_too: bool, spoil: bool) -> Restored:
    """Restore the newest backup that is not refused. With `spoil`, a byte of the newest one is flipped first."""
    found, timeline = Restored(), rig.context.run.timeline
    known = backups(rig.backups) if rig.backups.is_dir() else []
    rig.context.progress.step("Restore: from the newest backup that can be trusted", 1)
    timeline.add("restore_started", "state", backups=len(known))
    if spoil and known:
        found.spoiled = known[0].name
        timeline.add("backup_spoiled", found.spoiled, file=flip_a_byte(known[0]))
    for folder in known:
        if _restored_from(rig, folder, found, registry_too=registry_too):
            break
    else:
        found.why = f"all {len(known)} backups were refused" if known else "no backup was ever taken"
        timeline.add("restore_failed", "state", why=found.why)
    found.subject = _subject(rig)
    return found


def _restored_from(rig: Rig, folder: Path, found: Restored, *, registry_too: bool) -> bool:
    context, timeline = rig.context, rig.context.run.timeline
    try:
        manifest = restore(
            folder,
            state=rig.state,
            registry=rig.registry if registry_too else None,
            service=context.plan.service.name,
            subject=context.run.info.subject,
        )
    except BackupError as error:
        found.refused.append({"backup": folder.name, "why": str(error)})
        found.left_behind = found.left_behind or rig.state.exists()
        timeline.add("backup_refused", folder.name, why=str(error)[:200])
        return False
    found.backup, found.taken = folder.name, manifest.taken
    timeline.add("restored", folder.name, taken=manifest.taken)
    return True


def _subject(rig: Rig) -> str:
    """What the registry that the zones start from holds now."""
    target = rig.context.plan.target
    try:
        return load_artifact(rig.registry, target.model, target.version).subject
    except ArtifactError as error:
        return f"nothing that can be read ({error})"


def flip_a_byte(folder: Path) -> str:
    """Flip one bit in the middle of the largest file of state; returns which file. Raises CollectError without any."""
    files = [path for path in (folder / FILES / STATE).rglob("*") if path.is_file()]
    path = max(files, key=lambda item: item.stat().st_size, default=None)
    content = bytearray() if path is None else bytearray(path.read_bytes())
    if path is None or not content:
        raise CollectError(
            f"the backup {folder.name} holds no state, so no byte of it can be flipped; nothing was tested"
        )
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    return path.relative_to(folder).as_posix()
