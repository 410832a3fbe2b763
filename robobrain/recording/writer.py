"""Writing a run."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import logging
import os
import shutil
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from robobrain.errors import RecordingError
from robobrain.recording.layout import (
    DTYPES,
    FIGURES,
    LOCK,
    TRIALS,
    FloatArray,
    Stream,
    to_json,
    trial_table,
)
from robobrain.recording.manifest import STATUSES, now, opening, write_manifest
from robobrain.recording.reader import open_run
from robobrain.recording.store import PENDING_BYTES, SEGMENT_BYTES, Batch, Committer, SegmentStore

logger = logging.getLogger(__name__)

RESERVE_BYTES = 256 * 1024
"""Room that a run holds in its lock file, so that its end can be written on a disk that got full."""


def create(
    path: str | os.PathLike[str],
    manifest: Mapping[str, Any],
    *,
    segment_bytes: int = SEGMENT_BYTES,
    pending_bytes: int = PENDING_BYTES,
) -> RunWriter:
    """Create the run directory ``path`` and return its writer.

    Args:
        path: A directory that doesn't exist yet, or is empty. Missing parents are created.
        manifest: What describes the run (brain, task, seed, command ...); host facts are added.
        segment_bytes: Size at which a segment of the store is sealed and the next one begun.
        pending_bytes: How much may wait for the disk before `RunWriter.commit` waits too.

    Raises:
        RecordingError: If the directory holds something, can't be created or written, or a value of the
            manifest can't be stored. Nothing is left behind then.
    """
    folder = Path(path)
    to_json(manifest)
    created = _make_folder(folder)
    try:
        return RunWriter(folder, manifest, segment_bytes=segment_bytes, pending_bytes=pending_bytes)
    except (OSError, sqlite3.Error) as error:
        _clear(folder, created)
        raise RecordingError(
            f"Can't write a run to {folder}: {error}. Fix: choose another directory."
        ) from error


def check_destination(path: str | os.PathLike[str]) -> None:
    """Refuse a place where `create` would fail, before anything costly is done; nothing is made.

    Raises:
        RecordingError: If the directory holds something, or can't be made or written.
    """
    folder = Path(path)
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not existing.is_dir():
        raise RecordingError(f"Can't create the run directory {folder}: {existing} is no directory.")
    if existing == folder and any(folder.iterdir()):
        raise RecordingError(
            f"{folder} is not empty; a run is never overwritten. Fix: choose a new directory."
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise RecordingError(f"Can't create the run directory {folder}: {existing} is not writable.")


def _make_folder(folder: Path) -> Path | None:
    """Make ``folder`` and return the topmost directory that had to be made for it."""
    try:
        if folder.exists() and any(folder.iterdir()):
            raise RecordingError(
                f"{folder} is not empty; a run is never overwritten. Fix: choose a new directory."
            )
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(
            f"Can't create the run directory {folder}: {error.strerror or error}."
        ) from error
    return missing[-1] if missing else None


def _clear(folder: Path, created: Path | None) -> None:
    if created is not None:
        shutil.rmtree(created, ignore_errors=True)
        return
    for leftover in folder.iterdir():
        leftover.unlink(missing_ok=True)


class RunWriter:
    """Records one run. A context manager: what leaves it by an exception ends as interrupted or failed.

    Buffers what is appended until `commit` hands it to the writing thread. All calls come from one thread.
    Each of them raises RecordingError when the disk failed since; what was committed before stays readable.
    """

    def __init__(
        self, folder: Path, manifest: Mapping[str, Any], *, segment_bytes: int, pending_bytes: int
    ) -> None:
        """Use `create`."""
        self.path = folder
        run_id = uuid.uuid4().hex
        self._manifest = opening(manifest, run_id)
        self._lock = _take_lock(folder)
        try:
            self._store = SegmentStore(folder, run_id, segment_bytes)
            write_manifest(folder, self._manifest)
        except BaseException:
            os.close(self._lock)
            raise
        self._committer = Committer(self._store, folder, pending_bytes=pending_bytes)
        self._streams: dict[str, Stream] = {}
        self._last_ms: dict[str, float] = {}
        self._batch = Batch()
        self._seq = 0
        self._closed = False

    @property
    def figures_path(self) -> Path:
        """Directory of the run's figures, made on first use."""
        folder = self.path / FIGURES
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def backpressure_ms(self) -> float:
        """How long `commit` has waited for the disk so far."""
        return self._committer.backpressure_ms

    @property
    def committed(self) -> int:
        """Number of commits that are on disk: these survive anything."""
        return self._committer.committed

    def declare(self, name: str, unit: str, columns: Sequence[str], dtype: str = "float64") -> None:
        """Announce a stream. Announcing it again in the same words changes nothing.

        Args:
            name: Name of the stream, as `append` and `Run.array` use it.
            unit: Unit of all its columns; "1" for numbers without.
            columns: Names of the columns.
            dtype: "float64" (exact for Python's numbers), "float32" (as the brain's messages) or "int64".

        Raises:
            RecordingError: If the name is taken by another stream, or the description is not valid.
        """
        self._check()
        stream = Stream(name=name, unit=unit, columns=tuple(columns), dtype=dtype)
        known = self._streams.get(name)
        if known is not None and known != stream:
            raise RecordingError(f"Stream '{name}' is already declared as {known}.")
        if known is None:
            self._streams[name] = stream
            self._batch.declared.append(stream)

    def append(self, name: str, t_ms: npt.ArrayLike, values: npt.ArrayLike) -> None:
        """Add samples to a stream.

        Args:
            name: A declared stream.
            t_ms: Session time of the samples, float [n] or one number; never before the last one.
            values: [n, columns]; [columns] for one sample, [n] for one column.

        Raises:
            RecordingError: If the stream is unknown, shapes don't fit, or time goes back.
        """
        self._check()
        stream = self._streams.get(name)
        if stream is None:
            raise RecordingError(
                f"Stream '{name}' is not declared. Declared: {', '.join(self._streams) or 'none'}."
            )
        times = np.array(t_ms, dtype=np.float64, ndmin=1)
        samples = np.array(values, dtype=DTYPES[stream.dtype])
        shape = (len(times), len(stream.columns))
        if samples.shape != shape:
            if samples.size != shape[0] * shape[1] or 1 not in shape:
                raise RecordingError(f"Stream '{name}' takes values of shape {shape}, got {samples.shape}.")
            samples = samples.reshape(shape)
        if self._advance(name, times):
            self._batch.samples.setdefault(name, []).append((times, samples))
            self._batch.nbytes += times.nbytes + samples.nbytes

    def spikes(self, t_ms: npt.ArrayLike, sender: npt.ArrayLike) -> None:
        """Add spikes.

        Args:
            t_ms: Session time of each spike, float [n], sorted; never before the last one.
            sender: Id of the neuron of each spike, unsigned integer [n].

        Raises:
            RecordingError: If the lengths differ or time goes back.
        """
        self._check()
        times = np.array(t_ms, dtype=np.float64, ndmin=1)
        ids = np.array(sender, dtype=np.uint32, ndmin=1)
        if times.shape != ids.shape:
            raise RecordingError(f"Spikes need one time for each sender, got {times.shape} and {ids.shape}.")
        if self._advance("spikes", times, key=""):
            self._batch.spikes.append((times, ids))
            self._batch.nbytes += times.nbytes + ids.nbytes

    def _advance(self, name: str, times: FloatArray, key: str | None = None) -> bool:
        """Check that time goes on and return whether there is anything to store."""
        if times.ndim != 1:
            raise RecordingError(f"Times of '{name}' must be one-dimensional, got shape {times.shape}.")
        if not len(times):
            return False
        key = name if key is None else key
        last = self._last_ms.get(key, -np.inf)
        if not (times[0] >= last and times[-1] < np.inf and (len(times) == 1 or (np.diff(times) >= 0).all())):
            raise RecordingError(
                f"Times of '{name}' must be finite and never go back; the last one was {last} ms, then "
                f"{times[0]} to {times[-1]} ms. Fix: record in session time, which runs on over resets."
            )
        self._last_ms[key] = float(times[-1])
        return True

    def trial(self, record: Mapping[str, Any]) -> None:
        """Add a trial, a mapping of names to plain values; numbers that are not finite become null."""
        self._check()
        self._add_text(self._batch.trials, to_json(dict(record)))

    def event(self, t_ms: float, name: str, detail: Mapping[str, Any] | None = None) -> None:
        """Add something that happened at ``t_ms``, with details."""
        self._check()
        text = to_json(dict(detail or {}))
        self._batch.events.append((float(t_ms), name, text))
        self._batch.nbytes += len(text) + len(name) + 8

    def _add_text(self, texts: list[str], text: str) -> None:
        texts.append(text)
        self._batch.nbytes += len(text)

    def commit(self) -> int:
        """Hand over what was added since the last commit and return the number of this commit.

        Doesn't wait for the disk, unless so much is pending that memory would grow; the time of that is
        counted in `backpressure_ms`. The commit is on disk when `committed` has reached its number.

        Raises:
            RecordingError: If the disk failed; the batch is lost, what was committed is not.
        """
        self._check()
        self._seq += 1
        batch, self._batch = self._batch, Batch()
        batch.seq = self._seq
        self._committer.put(batch)
        return self._seq

    def flush(self) -> None:
        """Return when every commit is on disk.

        Raises:
            RecordingError: If the disk failed.
        """
        self._check()
        self._committer.flush()

    def _check(self) -> None:
        if self._closed:
            raise RecordingError(f"The run {self.path} is closed.")
        self._committer.raise_failure()

    def close(self, status: str = "complete", error: str = "") -> None:
        """Commit the rest, seal the store, and write the trial table and the final manifest.

        Closing a closed run does nothing. After a failure of the disk the status is "failed".

        Args:
            status: How the run ended: "complete", "interrupted" or "failed".
            error: What ended it, for the manifest, where it failed.

        Raises:
            RecordingError: If the disk failed and no call has said so yet.
        """
        if status not in STATUSES:
            raise RecordingError(f"A run ends as one of {STATUSES}, not {status!r}.")
        if self._closed:
            return
        known = self._committer.failure
        if known is None:
            try:
                self.commit()
            except RecordingError as refusal:
                logger.debug("Last commit refused: %s", refusal)
        self._closed = True
        self._committer.close()
        failure = self._committer.failure
        try:
            self._finish("failed" if failure else status, str(failure or error))
        except OSError as problem:
            failure = failure or RecordingError(
                f"The end of the run {self.path} could not be written: {problem}."
            )
        finally:
            os.close(self._lock)
        if failure is not None and known is None:
            raise failure

    def _finish(self, status: str, error: str) -> None:
        with contextlib.suppress(OSError):
            os.ftruncate(self._lock, 0)
        self._manifest |= {
            "status": status,
            "ended": now(),
            "totals": {**self._store.totals, "samples": dict(self._store.samples)},
            "backpressure_ms": round(self.backpressure_ms, 3),
            "segments": [dataclasses.asdict(segment) for segment in self._store.sealed],
        }
        if error:
            self._manifest["error"] = error
        write_manifest(self.path, self._manifest)
        write_trials(self.path)
        (self.path / LOCK).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
            return
        try:
            if issubclass(kind, KeyboardInterrupt):
                self.close("interrupted")
            else:
                self.close("failed", str(error) or kind.__name__)
        except RecordingError as another:
            logger.error("%s", another)


def _take_lock(folder: Path) -> int:
    """Return a descriptor that holds the run's lock until it is closed or the process is gone."""
    descriptor = os.open(folder / LOCK, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def write_trials(folder: Path) -> None:
    """Write the trials of the store in ``folder`` as a table beside it.

    Raises:
        RecordingError: If the store can't be read.
        OSError: If the table can't be written.
    """
    with (folder / TRIALS).open("w", newline="", encoding="utf-8") as file:
        file.write(trial_table(open_run(folder).trials))
