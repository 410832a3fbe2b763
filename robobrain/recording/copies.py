"""Copies of a run: a backup at any moment, and a compact version of what is written no more."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np

from robobrain.errors import RecordingError
from robobrain.recording.check import check
from robobrain.recording.layout import FIGURES, MANIFEST, sync_folder
from robobrain.recording.manifest import STATUSES, read_manifest
from robobrain.recording.reader import Run, open_run, reading
from robobrain.recording.writer import check_destination, create, write_trials

COMPACT_MS = 60_000.0
"""A compact run holds so much session time in a chunk; while it is recorded a chunk is a quarter second."""
_OF_THE_WRITER = {
    "format", "format_version", "run_id", "status", "ended", "totals", "backpressure_ms", "segments"
}  # fmt: skip


def backup(path: str | os.PathLike[str], destination: str | os.PathLike[str]) -> Run:
    """Copy a run, also while it is being written, and return the copy.

    The copy holds every commit that was on disk when its last segment was copied, each whole. Of a run that
    goes on it reads as interrupted. The writer isn't held up.

    Args:
        path: The run.
        destination: A directory that doesn't exist yet, or is empty, outside the run.

    Raises:
        RecordingError: If the run can't be read or the copy not be written.
    """
    run, folder = open_run(path), Path(destination)
    _check_copy(run, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _copy(run.path / MANIFEST, folder / MANIFEST)
        ended = run.status != "running"
        segments = run.segments
        for segment in segments:
            if segment == segments[-1] and not ended:
                _copy_live(segment, folder / segment.name)
            else:
                _copy(segment, folder / segment.name)
                log = segment.with_name(f"{segment.name}-wal")  # stays where a reader was in the way
                if log.exists():
                    _copy(log, folder / log.name)
        if run.figures_path.is_dir():
            shutil.copytree(run.figures_path, folder / FIGURES)
        if read_manifest(folder)["status"] in STATUSES:
            write_trials(folder)  # anew from the copied store: the run's own may just be in the making
        sync_folder(folder)
    except (OSError, sqlite3.Error) as error:
        raise RecordingError(f"Can't copy {run.path} to {folder}: {error}.") from error
    return open_run(folder)


def _check_copy(run: Run, folder: Path) -> None:
    """Refuse a place for a copy that can't be written, or that lies in the run itself."""
    check_destination(folder)
    if folder.resolve().is_relative_to(run.path.resolve()):
        raise RecordingError(
            f"{folder} lies inside the run {run.path} that is to be copied. Fix: choose a directory outside."
        )


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    _sync(target)


def _copy_live(source: Path, target: Path) -> None:
    """Copy a segment page by page as it is at one moment, its log included, by SQLite itself."""
    with reading(source) as segment, contextlib.closing(sqlite3.connect(target)) as copy:
        segment.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    _sync(target)


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def compact(path: str | os.PathLike[str], destination: str | os.PathLike[str]) -> Run:
    """Write a run anew in long chunks, which are smaller and read faster, and return the new run.

    Samples, spikes, trials, events and manifest stay the same; the given run is not touched. It is checked
    first: damage that was written anew would have right checksums.

    Args:
        path: A run that is written no more.
        destination: A directory that doesn't exist yet, or is empty, outside the run.

    Raises:
        RecordingError: If the run is still written, damaged, can't be read, or the new one not be written.
    """
    run = open_run(path)
    status = run.status
    if status not in STATUSES:
        raise RecordingError(
            f"{run.path} is being written. Fix: compact it when it has ended, or back it up."
        )
    _check_copy(run, Path(destination))
    if problems := check(path):
        raise RecordingError(
            f"{run.path} is not sound: {'; '.join(problems[:3])}. Fix: compact a backup that is, or keep the "
            "run as it is."
        )
    manifest = {key: value for key, value in run.manifest.items() if key not in _OF_THE_WRITER}
    manifest["compacted_from"] = run.manifest["run_id"]
    first, last = run.span_ms
    with create(destination, manifest) as writer:
        for stream in run.streams.values():
            writer.declare(stream.name, stream.unit, stream.columns, stream.dtype)
        for event in run.events:
            writer.event(event.t_ms, event.name, event.detail)
        for trial in run.trials:
            writer.trial(trial)
        for start in np.arange(first, last + COMPACT_MS, COMPACT_MS):
            for name in run.streams:
                writer.append(name, *run.array(name, start, start + COMPACT_MS))
            writer.spikes(*run.spikes(None, start, start + COMPACT_MS))
            writer.commit()
            writer.flush()
        writer.close(status)
    return open_run(destination)
