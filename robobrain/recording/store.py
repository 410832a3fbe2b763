"""The durable side of a run: segments, and the one thread that writes them.

Durability. Each transaction is written to SQLite's write-ahead log with ``synchronous=FULL``: it survives
not only ``kill -9`` (for which NORMAL would do) but also a loss of power, at the price of one fsync per
transaction. That price is small because the thread gathers what is handed over within `GATHER_S` into one
transaction (at most 50 fsyncs per second) and because nobody waits for it: the caller hands a batch over and
goes on. What a kill can cost is therefore the last `GATHER_S` plus the time of one transaction.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from robobrain.errors import RecordingError
from robobrain.recording.layout import (
    FORMAT_VERSION,
    SCHEMA,
    FloatArray,
    IdArray,
    Stream,
    checksum,
    encode_spikes,
    encode_times,
    encode_values,
    segment_name,
    sync_folder,
    to_json,
)

logger = logging.getLogger(__name__)

SEGMENT_BYTES = 64 * 2**20
"""A segment that has reached this size is sealed and the next one begun."""
GATHER_S = 0.02
"""How long the writer gathers batches before it writes them in one transaction."""
TRANSACTION_BYTES = 8 * 2**20
"""With this much at hand the writer doesn't wait for more."""
PENDING_BYTES = 64 * 2**20
"""With this much not yet written, `Committer.put` waits: memory stays bounded when the disk is slow."""
BUSY_TIMEOUT_S = 5.0
"""How long SQLite waits for a reader that is just opening the segment."""


@dataclass
class Batch:
    """What one commit hands over."""

    seq: int = 0
    declared: list[Stream] = field(default_factory=list)
    samples: dict[str, list[tuple[FloatArray, npt.NDArray[np.generic]]]] = field(default_factory=dict)
    spikes: list[tuple[FloatArray, IdArray]] = field(default_factory=list)
    trials: list[str] = field(default_factory=list)
    events: list[tuple[float, str, str]] = field(default_factory=list)
    nbytes: int = 0


@dataclass(frozen=True, kw_only=True)
class SegmentFacts:
    """A sealed segment, as the manifest lists it."""

    file: str
    bytes: int
    sha256: str
    t0_ms: float | None
    t1_ms: float | None


class SegmentStore:
    """Writes batches into segments of bounded size. Used by one thread at a time."""

    def __init__(self, folder: Path, run_id: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Open the first segment in ``folder``."""
        self.sealed: list[SegmentFacts] = []
        self.totals: Counter[str] = Counter(commits=0, spikes=0, trials=0, events=0)
        self.samples: Counter[str] = Counter()
        self._folder, self._run_id, self._segment_bytes = folder, run_id, segment_bytes
        self._streams: dict[str, tuple[int, Stream]] = {}
        self._index = 0
        self._open_segment()

    def _open_segment(self) -> None:
        """Create the segment with its tables under a hidden name, then give it its own.

        So whoever sees a segment finds its tables there, also after a kill in between.
        """
        self._path = self._folder / segment_name(self._index)
        unnamed = self._folder / f".{self._path.name}.new"
        with contextlib.closing(sqlite3.connect(unnamed, isolation_level=None)) as connection:
            connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
            meta = {"format_version": FORMAT_VERSION, "run_id": self._run_id, "index": self._index}
            connection.executemany("INSERT INTO meta VALUES (?, ?)", [(k, str(v)) for k, v in meta.items()])
            self._insert_streams(connection, list(self._streams.values()))
        unnamed.rename(self._path)
        sync_folder(self._folder)
        self._inode = self._path.stat().st_ino
        # The thread that writes is not the one that opens the first segment; they never use it at once.
        self._connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._t0_ms, self._t1_ms = np.inf, -np.inf

    @staticmethod
    def _insert_streams(connection: sqlite3.Connection, streams: list[tuple[int, Stream]]) -> None:
        connection.executemany(
            "INSERT INTO streams VALUES (?, ?, ?, ?, ?)",
            [(key, s.name, s.unit, to_json(s.columns), s.dtype) for key, s in streams],
        )

    def write(self, batches: Sequence[Batch], backpressure_ms: float = 0.0) -> None:
        """Write the batches in one transaction; roll to the next segment when this one is full.

        Raises:
            OSError: If the segment was removed or the folder can't be written.
            sqlite3.Error: If SQLite can't write, for instance on a full disk. Nothing of the batches is
                kept then, and all that was written before is.
        """
        seq = batches[-1].seq
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._insert_samples(seq, batches)
            self._insert_spikes(seq, batches)
            trials = [(seq, record) for batch in batches for record in batch.trials]
            events = [(seq, *event) for batch in batches for event in batch.events]
            self._connection.executemany("INSERT INTO trials VALUES (?, ?)", trials)
            self._connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", events)
            self._connection.execute(
                "INSERT INTO commits VALUES (?, ?, ?, ?)", (seq, batches[0].seq, time.time(), backpressure_ms)
            )
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        self.totals.update(commits=len(batches), trials=len(trials), events=len(events))
        # SQLite goes on writing to a file that was deleted under it, without an error.
        if self._path.stat().st_ino != self._inode:
            raise FileNotFoundError(f"{self._path} was replaced by another file")
        if self._size() >= self._segment_bytes:
            self._seal()
            self._index += 1
            self._open_segment()

    def _insert_samples(self, seq: int, batches: Sequence[Batch]) -> None:
        parts: dict[str, list[tuple[FloatArray, npt.NDArray[np.generic]]]] = {}
        for batch in batches:
            for stream in batch.declared:
                self._streams[stream.name] = (len(self._streams) + 1, stream)
                self._insert_streams(self._connection, [self._streams[stream.name]])
            for name, samples in batch.samples.items():
                parts.setdefault(name, []).extend(samples)
        for name, samples in parts.items():
            t_ms = np.concatenate([t for t, _ in samples])
            values = np.concatenate([v for _, v in samples])
            blobs = (encode_times(t_ms), *encode_values(values))
            self._connection.execute(
                "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (self._streams[name][0], seq, *self._span(t_ms), len(t_ms), *blobs, checksum(*blobs)),
            )
            self.samples[name] += len(t_ms)

    def _insert_spikes(self, seq: int, batches: Sequence[Batch]) -> None:
        spikes = [part for batch in batches for part in batch.spikes]
        if not spikes:
            return
        t_ms = np.concatenate([t for t, _ in spikes])
        blobs = encode_spikes(t_ms, np.concatenate([ids for _, ids in spikes]))
        self._connection.execute(
            "INSERT INTO spikes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (seq, *self._span(t_ms), len(t_ms), *blobs, checksum(*blobs)),
        )
        self.totals["spikes"] += len(t_ms)

    def _span(self, t_ms: FloatArray) -> tuple[float, float]:
        first, last = float(t_ms[0]), float(t_ms[-1])
        self._t0_ms, self._t1_ms = min(self._t0_ms, first), max(self._t1_ms, last)
        return first, last

    def _size(self) -> int:
        pages, page_bytes = (
            self._connection.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "page_size")
        )
        return int(pages * page_bytes)

    def _seal(self) -> None:
        """Close the segment as one plain file, without log, that reads from read-only media too."""
        try:
            self._connection.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.OperationalError as error:
            # A reader holds it open. The log then stays beside the file and is part of the segment.
            logger.warning("Segment %s keeps its log: %s", self._path.name, error)
        self._connection.close()
        with self._path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        known = self._t0_ms <= self._t1_ms
        self.sealed.append(
            SegmentFacts(
                file=self._path.name,
                bytes=self._path.stat().st_size,
                sha256=digest,
                t0_ms=self._t0_ms if known else None,
                t1_ms=self._t1_ms if known else None,
            )
        )

    def close(self) -> None:
        """Seal the last segment."""
        self._seal()

    def abandon(self) -> None:
        """Close the files after an error, whatever state they are in."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()


class Committer:
    """Hands batches to a thread that writes them, in order, each once."""

    def __init__(self, store: SegmentStore, folder: Path, *, pending_bytes: int = PENDING_BYTES) -> None:
        """Start the thread that owns ``store`` from now on."""
        self.backpressure_ms = 0.0
        self.committed = 0
        self.failure: RecordingError | None = None
        self._store, self._folder, self._limit = store, folder, pending_bytes
        self._pending: list[Batch] = []
        self._pending_bytes = 0
        self._writing = False
        self._urgent = False
        self._stop = False
        self._changed = threading.Condition()
        # A daemon: a program that ends without closing its run must end, and loses only what was pending.
        self._thread = threading.Thread(target=self._run, name="robobrain-recording", daemon=True)
        self._thread.start()

    def put(self, batch: Batch) -> None:
        """Hand a batch over; wait (and count it as backpressure) only while too much is pending.

        Raises:
            RecordingError: If the thread failed.
        """
        with self._changed:
            if self._pending_bytes >= self._limit:
                self._wait_for_room()
            self.raise_failure()
            self._pending.append(batch)
            self._pending_bytes += batch.nbytes
            if len(self._pending) == 1 or self._pending_bytes >= TRANSACTION_BYTES:
                self._changed.notify_all()

    def _wait_for_room(self) -> None:
        start = time.perf_counter()
        self._changed.wait_for(lambda: self._pending_bytes < self._limit or self.failure is not None)
        self.backpressure_ms += 1e3 * (time.perf_counter() - start)

    def raise_failure(self) -> None:
        """Raise the error that ended the thread, if any."""
        if self.failure is not None:
            raise self.failure

    def flush(self) -> None:
        """Return when all that was handed over is on disk.

        Raises:
            RecordingError: If the thread failed.
        """
        with self._changed:
            self._urgent = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not (self._pending or self._writing) or self.failure is not None)
            self._urgent = False
            self.raise_failure()

    def close(self) -> None:
        """Write what is pending, seal the store and end the thread. `failure` tells how it went."""
        with self._changed:
            self._stop = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            while batches := self._gather():
                self._store.write(batches, self.backpressure_ms)
                with self._changed:
                    self.committed = batches[-1].seq
                    self._writing = False
                    self._changed.notify_all()
            self._store.close()
        except Exception as error:  # whatever it is, the caller has to hear of it
            self._store.abandon()
            with self._changed:
                self.failure = self._explain(error)
                self._pending, self._pending_bytes, self._writing = [], 0, False
                self._changed.notify_all()

    def _gather(self) -> list[Batch]:
        """Return the batches of the next transaction; none when the run is to be closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._stop)
            self._changed.wait_for(
                lambda: self._stop or self._urgent or self._pending_bytes >= TRANSACTION_BYTES,
                timeout=GATHER_S,
            )
            batches, self._pending, self._pending_bytes = self._pending, [], 0
            self._writing = bool(batches)
            self._changed.notify_all()
            return batches

    def _explain(self, error: Exception) -> RecordingError:
        code = getattr(error, "sqlite_errorname", "")
        if code == "SQLITE_FULL" or code.startswith("SQLITE_IOERR") or isinstance(error, OSError):
            cause = "the disk is full, a size limit is reached, or the directory is no longer there"
        else:
            cause = "the store could not be written"
        failure = RecordingError(
            f"Recording to {os.fspath(self._folder)} stopped: {cause} ({error}). The first {self.committed} "
            f"commits are safe and can be read. Fix: make room, then start a new run in another directory."
        )
        failure.__cause__ = error
        return failure
