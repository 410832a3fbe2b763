"""Finding out whether a run is sound."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from robobrain.errors import RecordingError
from robobrain.recording.layout import (
    FORMAT_VERSION,
    LOCK,
    TRIALS,
    FloatArray,
    checksum,
    decode_spikes,
    decode_times,
    segment_name,
    trial_table,
)
from robobrain.recording.reader import Run, open_run, reading, stream_of


def check(path: str | os.PathLike[str]) -> list[str]:
    """Return what is wrong with the run in the directory ``path``; an empty list when it is sound.

    Looks at SQLite's own integrity, checksums and lengths of every chunk, the order of times, the sequence
    of segments and commits, and, for a run that was closed, the totals and hashes of its manifest and the
    trial table. A run that was killed is sound when everything it holds is.
    """
    try:
        run = open_run(path)
        return list(_Checker(run).problems())
    except RecordingError as error:
        return [str(error)]


class _Checker:
    """Walks over the segments of a run in order and remembers where times and commits have got to."""

    def __init__(self, run: Run) -> None:
        self.run, self.manifest = run, run.manifest
        self.last_ms: dict[str, float] = {}
        self.last_seq = 0
        self.totals: Counter[str] = Counter()
        self.samples: Counter[str] = Counter()
        self.trials: list[dict[str, Any]] = []

    def problems(self) -> Iterator[str]:
        """Yield every problem in words."""
        segments = self.run.segments
        if not segments:
            yield f"{self.run.path}: the store has no segment"
        for index, path in enumerate(segments):
            if path.name != segment_name(index):
                yield f"{path.name}: expected {segment_name(index)}, so a segment is missing or foreign"
                return
            try:
                with reading(path) as segment:
                    yield from (f"{path.name}: {problem}" for problem in self._segment(segment, index))
            except (RecordingError, sqlite3.Error, TypeError, ValueError) as error:
                # Damage can turn a text into bytes, or into no text at all.
                yield f"{path.name}: can't be read: {error}"
                return
        status, stated = self.manifest["status"], {"totals", "segments"} & self.manifest.keys()
        if status == "running":
            if stated:
                yield f"the manifest says running, yet states {' and '.join(sorted(stated))}"
            return
        if len(stated) < 2:
            yield f"the manifest says {status}, yet lacks the totals and segments of a run that ended"
        elif status != "failed":
            yield from self._against_manifest()
        yield from self._trial_table()

    def _segment(self, segment: sqlite3.Connection, index: int) -> Iterator[str]:
        damage = [row[0] for row in segment.execute("PRAGMA integrity_check")]
        if damage != ["ok"]:
            yield f"SQLite reports: {'; '.join(damage[:5])}"
            return
        meta = dict(segment.execute("SELECT key, value FROM meta"))
        expected = {
            "format_version": str(FORMAT_VERSION), "run_id": self.manifest.get("run_id"), "index": str(index)
        }  # fmt: skip
        for key, value in expected.items():
            if meta.get(key) != value:
                yield f"{key} is {meta.get(key)!r}, the run's is {value!r}"
        yield from self._commits(segment)
        yield from self._chunks(segment)
        yield from self._spikes(segment)
        yield from self._texts(segment)

    def _commits(self, segment: sqlite3.Connection) -> Iterator[str]:
        for seq, first in segment.execute("SELECT seq, first_seq FROM commits ORDER BY seq"):
            if first != self.last_seq + 1 or seq < first:
                yield f"commit {first} follows {self.last_seq}, so commits are missing"
            self.last_seq = seq
            self.totals["commits"] += seq - first + 1

    def _chunks(self, segment: sqlite3.Connection) -> Iterator[str]:
        streams = {
            key: stream_of(name, unit, columns, dtype)
            for key, name, unit, columns, dtype in segment.execute("SELECT * FROM streams")
        }
        for key, *row in segment.execute("SELECT * FROM chunks ORDER BY rowid"):
            seq, t0_ms, t1_ms, n, times, kept, data, crc = row
            where = f"stream {streams[key].name if key in streams else key}, commit {seq}"
            if key not in streams:
                yield f"{where}: the stream is not described"
            elif checksum(times, kept, data) != crc:
                yield f"{where}: the checksum is wrong"
            elif len(times) not in (8 * n, 16) or len(data) != _rows(kept, n) * streams[key].row_bytes:
                yield f"{where}: {len(times)} and {len(data)} bytes don't make {n} samples"
            else:
                t_ms = decode_times(times, n)
                yield from (
                    f"{where}: {problem}" for problem in self._times(f"stream {key}", t_ms, t0_ms, t1_ms)
                )
                self.samples[streams[key].name] += n

    def _spikes(self, segment: sqlite3.Connection) -> Iterator[str]:
        for seq, t0_ms, t1_ms, n, times, counts, senders, crc in segment.execute(
            "SELECT * FROM spikes ORDER BY seq"
        ):
            where = f"spikes, commit {seq}"
            total = int(np.frombuffer(counts, dtype="<u4").sum())
            if checksum(times, counts, senders) != crc:
                yield f"{where}: the checksum is wrong"
            elif total != n or len(times) != 2 * len(counts) or len(senders) not in (2 * n, 4 * n):
                yield f"{where}: {total} times and {len(senders)} bytes of senders don't make {n} spikes"
            else:
                t_ms, _ = decode_spikes(times, counts, senders, n)
                yield from (f"{where}: {problem}" for problem in self._times("spikes", t_ms, t0_ms, t1_ms))
                self.totals["spikes"] += n

    def _times(self, key: str, t_ms: FloatArray, t0_ms: float, t1_ms: float) -> Iterator[str]:
        if (t_ms[0], t_ms[-1]) != (t0_ms, t1_ms):
            yield f"times run from {t_ms[0]} to {t_ms[-1]} ms, the index says {t0_ms} to {t1_ms} ms"
        last = self.last_ms.get(key, -np.inf)
        if t_ms[0] < last or (np.diff(t_ms) < 0).any():
            yield f"times go back (after {last} ms)"
        self.last_ms[key] = float(t_ms[-1])

    def _texts(self, segment: sqlite3.Connection) -> Iterator[str]:
        for table, column in (("trials", "record"), ("events", "detail")):
            for seq, text in segment.execute(f"SELECT seq, {column} FROM {table}"):
                self.totals[table] += 1
                mapping = _mapping(text)
                if mapping is None:
                    yield f"{table}, commit {seq}: {column} is not a JSON mapping"
                elif table == "trials":
                    self.trials.append(mapping)

    def _against_manifest(self) -> Iterator[str]:
        stated: dict[str, Any] = self.manifest["totals"]
        found = {**self.totals, "samples": dict(self.samples)}
        for key, value in stated.items():
            if (found.get(key) or 0) != (value or 0):
                yield f"the manifest states {key} = {value}, the store has {found.get(key)}"
        listed = {entry["file"]: entry for entry in self.manifest.get("segments", [])}
        if sorted(listed) != [path.name for path in self.run.segments]:
            yield f"the manifest lists {len(listed)} segments, the directory has {len(self.run.segments)}"
        for path in self.run.segments:
            entry = listed.get(path.name)
            if entry is not None and _sha256(path) != entry["sha256"]:
                yield f"{path.name}: differs from the file whose hash the manifest holds"

    def _trial_table(self) -> Iterator[str]:
        """Compare the trial table, the last thing a writer makes before it frees the lock."""
        if (self.run.path / LOCK).exists():
            return  # closed at this moment, or killed in it
        fix = "Fix: `robobrain recording backup` writes it anew into the copy"
        try:
            found = (self.run.path / TRIALS).read_bytes()
        except OSError as error:
            yield f"{TRIALS} can't be read: {error.strerror}. {fix}"
            return
        if found != trial_table(self.trials).encode(errors="replace"):
            yield f"{TRIALS} differs from the trials of the store. {fix}"


def _rows(kept: bytes, n: int) -> int:
    """Return how many of ``n`` rows a chunk holds; -1 when its indices make no sense."""
    index = np.frombuffer(kept, dtype="<u4").astype(np.int64)
    if not len(index):
        return n
    return len(index) if index[0] == 0 and index[-1] < n and (np.diff(index) > 0).all() else -1


def _mapping(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
