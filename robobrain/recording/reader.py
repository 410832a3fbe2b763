"""Reading a run: while it is being written, after it ended, and after a crash."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robobrain.errors import RecordingError, choices
from robobrain.recording.layout import (
    FIGURES,
    LOCK,
    SEGMENT_PATTERN,
    FloatArray,
    IdArray,
    Stream,
    decode_spikes,
    decode_times,
    decode_values,
    segment_name,
)
from robobrain.recording.manifest import read_manifest

BUSY_TIMEOUT_S = 5.0
SPIKES = "spikes"
"""What the spikes are called beside the streams."""


@dataclass(frozen=True, kw_only=True)
class Population:
    """A population of the recorded brain; its neurons have the ids first_id ... first_id + size - 1."""

    name: str
    region: str
    first_id: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened at a session time."""

    t_ms: float
    name: str
    detail: dict[str, Any]


def open_run(path: str | os.PathLike[str]) -> Run:
    """Return the run in the directory ``path``, to be read only.

    Raises:
        RecordingError: If there is no run, one this version can't read, or one whose store is missing.
    """
    try:
        run = Run(Path(path))
    except TypeError:
        raise RecordingError(f"{path!r:.60} is no path of a run directory.") from None
    if not run.segments and run.status != "running":
        raise RecordingError(
            f"The store of {run.path} is missing: there is no {segment_name(0)}. Fix: copy the whole "
            "directory, or use a backup."
        )
    return run


@contextlib.contextmanager
def reading(segment: Path) -> Iterator[sqlite3.Connection]:
    """Open a segment for reading, for as short as possible: its writer seals it when nobody reads."""
    connection = _connect(segment)
    try:
        yield connection
    finally:
        connection.close()


def _connect(segment: Path) -> sqlite3.Connection:
    modes = [
        "mode=ro",
        "mode=rw",
    ]  # rw: a kill while sealing leaves a journal that only a writer may roll back
    if not os.access(segment.parent, os.W_OK) and not segment.with_name(f"{segment.name}-wal").exists():
        modes = ["mode=ro", "immutable=1"]  # on read-only media SQLite can't make its shared index
    failure: Exception | None = None
    for mode in modes:
        uri = f"{segment.absolute().as_uri()}?{mode}"
        try:
            connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        except sqlite3.OperationalError as error:
            failure = error
            continue
        try:
            connection.execute("SELECT 1 FROM meta").fetchone()
            return connection
        except sqlite3.Error as error:
            connection.close()
            failure = error
    raise RecordingError(
        f"{segment} can't be read: {failure}. Fix: `robobrain recording check`."
    ) from failure


class Run:
    """A recorded run. Arrays are read from disk when asked for, by name and time window.

    Windows are half-open: ``t0_ms <= t < t1_ms``, with None for "from the start" and "to the end". While
    the run is being written, each call sees what is committed at that moment.
    """

    def __init__(self, folder: Path) -> None:
        """Use `open_run`."""
        self.path = folder
        self._manifest = read_manifest(folder)

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest as it is now."""
        if self._manifest["status"] == "running":
            self._manifest = read_manifest(self.path)
        return self._manifest

    @property
    def status(self) -> str:
        """One of running, complete, interrupted, failed; interrupted also when the writer was killed."""
        return "interrupted" if self.was_killed else str(self.manifest["status"])

    @property
    def was_killed(self) -> bool:
        """Whether the writer is gone without having ended the run: the manifest says running for ever."""
        return self.manifest["status"] == "running" and not _is_held(self.path / LOCK)

    @property
    def figures_path(self) -> Path:
        """Directory of the run's figures."""
        return self.path / FIGURES

    @property
    def segments(self) -> list[Path]:
        """Files of the store, in order of time."""
        return sorted(self.path.glob(SEGMENT_PATTERN))

    @property
    def streams(self) -> dict[str, Stream]:
        """Streams by name, with unit and columns."""
        if not self.segments:
            return {}
        with reading(self.segments[-1]) as segment:
            rows = segment.execute("SELECT name, unit, columns, dtype FROM streams ORDER BY id").fetchall()
        return {name: stream_of(name, unit, columns, dtype) for name, unit, columns, dtype in rows}

    @cached_property
    def populations(self) -> dict[str, Population]:
        """Populations of the brain by name, in the order of the manifest; empty when it lists none."""
        listed = (self._manifest.get("brain") or {}).get("populations", [])
        return {
            entry["name"]: Population(**{key: entry[key] for key in ("name", "region", "first_id", "size")})
            for entry in listed
        }

    @property
    def commits(self) -> int:
        """Number of commits in the store."""
        if not self.segments:
            return 0
        for path in reversed(self.segments):
            with reading(path) as segment:
                (seq,) = segment.execute("SELECT max(seq) FROM commits").fetchone()
            if seq is not None:
                return int(seq)
        return 0

    @property
    def spike_count(self) -> int:
        """Number of spikes in the store; none of them is read."""
        return int(sum(n for (n,) in self._rows("SELECT coalesce(sum(n), 0) FROM spikes")))

    @property
    def span_ms(self) -> tuple[float, float]:
        """First and last session time of any sample or spike; (0, 0) when there is none."""
        first = next((s[0] for path in self.segments if (s := self._span(path))), 0.0)
        last = next((s[1] for path in reversed(self.segments) if (s := self._span(path))), 0.0)
        return first, last

    @property
    def ends_ms(self) -> dict[str, float]:
        """Last session time of each stream that has samples, and of the spikes under the name `SPIKES`."""
        ends: dict[str, float] = {}
        for path in reversed(self.segments):
            with reading(path) as segment:
                rows = segment.execute(
                    "SELECT name, (SELECT max(t1_ms) FROM chunks WHERE stream = streams.id) FROM streams "
                    "UNION ALL SELECT ?, max(t1_ms) FROM spikes",
                    (SPIKES,),
                ).fetchall()
            ends = {name: t1_ms for name, t1_ms in rows if t1_ms is not None} | ends
            if len(ends) == len(rows):
                break
        return ends

    def array(
        self, name: str, t0_ms: float | None = None, t1_ms: float | None = None
    ) -> tuple[FloatArray, npt.NDArray[Any]]:
        """Return times [n] and values [n, columns] of a stream within a window.

        Raises:
            RecordingError: If the run has no such stream, or a segment can't be read.
        """
        stream = self.streams.get(name) if isinstance(name, str) else None
        if stream is None:
            raise RecordingError(
                f"{self.path} has no stream '{name}'. It has: {', '.join(self.streams) or 'none'}."
            )
        rows = self._rows(
            "SELECT n, times, kept, data FROM chunks WHERE stream = (SELECT id FROM streams WHERE name = ?) "
            "AND t1_ms >= ? AND t0_ms < ? ORDER BY t1_ms, rowid",
            (name,),
            t0_ms,
            t1_ms,
        )
        times, values = [np.empty(0)], [decode_values(b"", b"", 0, stream)]
        for n, time_bytes, kept, data in rows:
            t_ms = decode_times(time_bytes, n)
            inside = _window(t_ms, t0_ms, t1_ms)
            times.append(t_ms[inside])
            values.append(decode_values(kept, data, n, stream)[inside])
        return np.concatenate(times), np.concatenate(values)

    def spikes(
        self, population: str | None = None, t0_ms: float | None = None, t1_ms: float | None = None
    ) -> tuple[FloatArray, IdArray]:
        """Return times [n], sorted, and senders [n] of the spikes within a window.

        Args:
            population: Only spikes of this population; None for all.
            t0_ms: Start of the window.
            t1_ms: End of the window.

        Raises:
            RecordingError: If the run has no such population, or a segment can't be read.
        """
        wanted = None if population is None else self._population(population)
        rows = self._rows(
            "SELECT n, times, counts, senders FROM spikes WHERE t1_ms >= ? AND t0_ms < ? ORDER BY seq",
            (),
            t0_ms,
            t1_ms,
        )
        times, senders = [np.empty(0)], [np.empty(0, dtype=np.uint32)]
        for n, time_bytes, counts, sender_bytes in rows:
            t_ms, sender = decode_spikes(time_bytes, counts, sender_bytes, n)
            inside = _window(t_ms, t0_ms, t1_ms)
            t_ms, sender = t_ms[inside], sender[inside]
            if wanted is not None:
                chosen = (sender >= wanted.first_id) & (sender < wanted.first_id + wanted.size)
                t_ms, sender = t_ms[chosen], sender[chosen]
            times.append(t_ms)
            senders.append(sender)
        return np.concatenate(times), np.concatenate(senders)

    def _population(self, name: str) -> Population:
        if not isinstance(name, str) or name not in self.populations:
            raise RecordingError(
                f"{self.path} has no population '{name}'. It has: {choices(str(name), self.populations)}."
            )
        return self.populations[name]

    @property
    def trials(self) -> list[dict[str, Any]]:
        """The trials in order, one mapping each."""
        rows = self._rows("SELECT record FROM trials ORDER BY rowid")
        return [_parsed(record) for (record,) in rows]

    @property
    def events(self) -> list[Event]:
        """The events in the order they were recorded."""
        rows = self._rows("SELECT t_ms, name, detail FROM events ORDER BY rowid")
        return [Event(t_ms=t_ms, name=name, detail=_parsed(detail)) for t_ms, name, detail in rows]

    def _rows(
        self,
        query: str,
        parameters: tuple[object, ...] = (),
        t0_ms: float | None = None,
        t1_ms: float | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of all segments; a query with a window ends with its two parameters."""
        for time_ms in (t0_ms, t1_ms):
            if time_ms is not None and (not isinstance(time_ms, Real) or np.isnan(float(time_ms))):
                raise RecordingError(f"{time_ms!r:.60} is no time of a window: give ms, or None for no end.")
        if "t1_ms >=" in query:
            parameters += (-np.inf if t0_ms is None else t0_ms, np.inf if t1_ms is None else t1_ms)
        for path in self._overlapping(t0_ms, t1_ms):
            with reading(path) as segment:
                try:
                    yield from segment.execute(query, parameters).fetchall()
                except sqlite3.Error as error:
                    raise RecordingError(f"{path} can't be read: {error}.") from error

    def _overlapping(self, t0_ms: float | None, t1_ms: float | None) -> list[Path]:
        """Return the segments that can hold samples of a window; a closed run lists their spans."""
        spans = {entry["file"]: entry for entry in self.manifest.get("segments", [])}
        low, high = -np.inf if t0_ms is None else t0_ms, np.inf if t1_ms is None else t1_ms

        def overlaps(path: Path) -> bool:
            span = spans.get(path.name)
            return span is None or (
                span["t0_ms"] is not None and span["t1_ms"] >= low and span["t0_ms"] < high
            )

        windowed = t0_ms is not None or t1_ms is not None
        return [path for path in self.segments if not windowed or overlaps(path)]

    def _span(self, segment: Path) -> tuple[float, float] | None:
        with reading(segment) as connection:
            first, last = connection.execute(
                "SELECT min(a), max(b) FROM (SELECT min(t0_ms) a, max(t1_ms) b FROM chunks "
                "UNION ALL SELECT min(t0_ms), max(t1_ms) FROM spikes)"
            ).fetchone()
        return None if first is None else (first, last)


def stream_of(name: str, unit: str, columns: str, dtype: str) -> Stream:
    """Return a stream as a segment describes it; ``columns`` is JSON.

    Raises:
        RecordingError: The description is damaged.
    """
    return Stream(name=name, unit=unit, columns=tuple(_parsed(columns)), dtype=dtype)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError) as error:
        raise RecordingError(f"the store is damaged: {text!r} is not JSON ({error})") from None


def _window(t_ms: FloatArray, t0_ms: float | None, t1_ms: float | None) -> slice:
    start = 0 if t0_ms is None else int(np.searchsorted(t_ms, t0_ms, side="left"))
    stop = len(t_ms) if t1_ms is None else int(np.searchsorted(t_ms, t1_ms, side="left"))
    return slice(start, stop)


def _is_held(lock: Path) -> bool:
    """Return whether a living process holds the lock of the run."""
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
