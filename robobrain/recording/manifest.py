"""The manifest of a run: what ran, where, and how it ended."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from robobrain.errors import RecordingError
from robobrain.recording.layout import FORMAT, FORMAT_VERSION, MANIFEST, sync_folder, to_json

STATUSES = ("complete", "interrupted", "failed")
"""How a run can end. While it is being written its status is "running"."""

_TYPES: dict[str, type | tuple[type, ...]] = {
    "run_id": str,
    "status": str,
    "started": str,
    "ended": str,
    "versions": dict,
    "host": dict,
    "brain": dict,
    "task": (dict, type(None)),
    "totals": dict,
    "backpressure_ms": (int, float),
    "segments": list,
    "error": str,
}
"""Types of the fields that readers rely on; all but the first three may be missing."""
_SEGMENT = {"file", "sha256", "t0_ms", "t1_ms"}
_POPULATION = {"name", "region", "first_id", "size"}

_PACKAGES = ("robobrain", "nest-simulator", "mujoco", "gymnasium", "numpy", "protobuf")


def host_facts() -> dict[str, Any]:
    """Return what a run depends on besides its own settings.

    Returns:
        ``host`` (platform, machine, cpu_count, cpus_usable), ``versions`` (python and the packages; None
        where one is not installed), ``git_commit`` (of robobrain, when it runs from a checkout; ends in
        "+changes" when files differ from that commit; else None).
    """
    return {
        "host": {
            "platform": platform.platform(),
            "machine": platform.machine(),
            "cpu_count": os.cpu_count(),
            "cpus_usable": len(os.sched_getaffinity(0)),
        },
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        "git_commit": _git_commit(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    checkout = Path(__file__).parents[2]
    # An installed package can lie inside somebody else's checkout; that commit would say nothing.
    if not (checkout / ".git").exists():
        return None
    try:
        commit = _git(checkout, "rev-parse", "HEAD")
        return f"{commit}+changes" if _git(checkout, "status", "--porcelain", "-uno") else commit
    except (OSError, subprocess.SubprocessError):
        return None


def _git(checkout: Path, *arguments: str) -> str:
    command = ["git", "-C", str(checkout), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def opening(manifest: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    """Return the manifest a run starts with: the caller's, completed by host facts, identity and status."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "run_id": run_id,
        "status": "running",
        "started": now(),
        **host_facts(),
        **manifest,
    }


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write ``manifest.json`` in one step: a reader finds the old one or the new one, never a part.

    Raises:
        RecordingError: If a value has no JSON form.
        OSError: If the folder can't be written.
    """
    text = to_json(manifest, indent=2) + "\n"
    unnamed = folder / f".{MANIFEST}.new"
    with unnamed.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unnamed.replace(folder / MANIFEST)
    sync_folder(folder)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of the run in ``folder``.

    Raises:
        RecordingError: If there is no run, or one of a format this version can't read.
    """
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordingError(f"{folder} is no run directory: it has no {MANIFEST}.") from None
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path} can't be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise RecordingError(f"{path} is not the manifest of a robobrain run.")
    if manifest.get("format_version") != FORMAT_VERSION:
        wrote = manifest.get("versions", {}).get("robobrain")
        raise RecordingError(
            f"{path} has format version {manifest.get('format_version')}, this robobrain reads "
            f"{FORMAT_VERSION}. Fix: use the version that wrote it, {wrote}."
        )
    if faults := list(_faults(manifest)):
        raise RecordingError(f"{path} is damaged: {'; '.join(faults)}.")
    return manifest


def _faults(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield what no writer of this format leaves in a manifest."""
    yield from (f"{name} is missing" for name in ("run_id", "status", "started") if name not in manifest)
    for name, kinds in _TYPES.items():
        if name in manifest and not isinstance(manifest[name], kinds):
            yield f"{name} is {manifest[name]!r}, which it can't be"
    status = manifest.get("status")
    if isinstance(status, str) and status not in ("running", *STATUSES):
        yield f"status is {status!r}, not one of running, {', '.join(STATUSES)}"
    if not _are_entries(manifest.get("segments", []), _SEGMENT):
        yield "an entry of segments is incomplete"
    brain = manifest.get("brain")
    if isinstance(brain, dict) and not _are_entries(brain.get("populations", []), _POPULATION):
        yield "an entry of the brain's populations is incomplete"


def _are_entries(entries: object, keys: set[str]) -> bool:
    """Return whether ``entries`` is a list of mappings that have all ``keys``."""
    return isinstance(entries, list) and all(
        isinstance(entry, dict) and entry.keys() >= keys for entry in entries
    )
