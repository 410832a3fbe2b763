"""What a run directory looks like on disk: file names, tables of a segment, and the encoding of arrays.

A run directory holds ``manifest.json``, segments ``store-000000.sqlite``, ``store-000001.sqlite`` ...,
``trials.csv`` (written at the end) and ``figures/``. A segment is an SQLite database of bounded size. Times
are milliseconds of session time, numbers are little-endian. One row holds one chunk: all samples of one
stream that were committed together.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robobrain.errors import RecordingError

FORMAT = "robobrain-run"
FORMAT_VERSION = 2
MANIFEST = "manifest.json"
TRIALS = "trials.csv"
FIGURES = "figures"
LOCK = "writer.lock"
SEGMENT_PATTERN = "store-*.sqlite"

DTYPES = {"float64": "<f8", "float32": "<f4", "int64": "<i8"}
"""Types a stream can have, with their encoding on disk."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE streams (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, unit TEXT NOT NULL, columns TEXT NOT NULL,
    dtype TEXT NOT NULL);
CREATE TABLE chunks (
    stream INTEGER NOT NULL REFERENCES streams (id), seq INTEGER NOT NULL, t0_ms REAL NOT NULL,
    t1_ms REAL NOT NULL, n INTEGER NOT NULL, times BLOB NOT NULL, kept BLOB NOT NULL, data BLOB NOT NULL,
    crc INTEGER NOT NULL);
CREATE INDEX chunks_by_time ON chunks (stream, t1_ms, t0_ms);
CREATE TABLE spikes (
    seq INTEGER PRIMARY KEY, t0_ms REAL NOT NULL, t1_ms REAL NOT NULL, n INTEGER NOT NULL,
    times BLOB NOT NULL, counts BLOB NOT NULL, senders BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE INDEX spikes_by_time ON spikes (t1_ms, t0_ms);
CREATE TABLE trials (seq INTEGER NOT NULL, record TEXT NOT NULL);
CREATE TABLE events (seq INTEGER NOT NULL, t_ms REAL NOT NULL, name TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE commits (
    seq INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL, written_unix_s REAL NOT NULL,
    backpressure_ms REAL NOT NULL);
"""
"""``seq`` counts the commits of the writer. One transaction can hold several: its rows carry the last one,
and ``commits`` keeps the first."""

FloatArray = npt.NDArray[np.float64]
IdArray = npt.NDArray[np.uint32]


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A named time series: one value per column at each time."""

    name: str
    unit: str
    columns: tuple[str, ...]
    dtype: str = "float64"

    def __post_init__(self) -> None:
        """Refuse what can't be stored.

        Raises:
            RecordingError: Without a name or columns, with repeated columns or an unknown type.
        """
        if not self.name:
            raise RecordingError("A stream needs a name.")
        if not self.columns or len(set(self.columns)) != len(self.columns):
            raise RecordingError(f"Stream '{self.name}' needs distinct columns, got {list(self.columns)}.")
        if self.dtype not in DTYPES:
            raise RecordingError(
                f"Stream '{self.name}': dtype must be one of {sorted(DTYPES)}, not {self.dtype!r}."
            )

    @property
    def row_bytes(self) -> int:
        """Size of one sample on disk."""
        return np.dtype(DTYPES[self.dtype]).itemsize * len(self.columns)


def segment_name(index: int) -> str:
    """Return the file name of segment ``index``; names are never used twice in a run."""
    return f"store-{index:06d}.sqlite"


def encode_times(t_ms: FloatArray) -> bytes:
    """Return the bytes of the times of a chunk: first one and step where all follow from these exactly."""
    if len(t_ms) > 2:
        first, step = t_ms[0], t_ms[1] - t_ms[0]
        if (first + step * np.arange(len(t_ms)) == t_ms).all():
            return np.array([first, step], dtype="<f8").tobytes()
    return t_ms.tobytes()


def decode_times(times: bytes, n: int) -> FloatArray:
    """Return times [n] (read-only) from what `encode_times` made."""
    values = np.frombuffer(times, dtype="<f8")
    return values if len(values) == n else values[0] + values[1] * np.arange(n)


def encode_values(values: npt.NDArray[np.generic]) -> tuple[bytes, bytes]:
    """Return which rows of ``values`` [n, columns] are kept, and their bytes.

    Only rows that differ from the one before are kept where that is shorter; no indices mean that all are.
    """
    rows = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
    kept = np.flatnonzero(np.concatenate(([True], (rows[1:] != rows[:-1]).any(axis=1)))).astype("<u4")
    if kept.nbytes + rows[kept].nbytes < rows.nbytes:
        return kept.tobytes(), values[kept].tobytes()
    return b"", values.tobytes()


def decode_values(kept: bytes, data: bytes, n: int, stream: Stream) -> npt.NDArray[np.generic]:
    """Return values [n, columns] from what `encode_values` made."""
    values = np.frombuffer(data, dtype=DTYPES[stream.dtype]).reshape(-1, len(stream.columns))
    if not kept:
        return values
    return np.repeat(values, np.diff(np.frombuffer(kept, dtype="<u4"), append=n), axis=0)


def encode_spikes(t_ms: FloatArray, sender: IdArray) -> tuple[bytes, bytes, bytes]:
    """Return times, counts and senders as bytes: each distinct time once, with its number of spikes.

    Spikes sit on the simulation grid, so many share a time. Ids below 65536 take two bytes.
    """
    first = np.concatenate(([0], np.flatnonzero(t_ms[1:] != t_ms[:-1]) + 1))
    counts = np.diff(first, append=len(t_ms)).astype("<u4")
    ids = sender.astype("<u2" if sender.max() < 2**16 else "<u4")
    return t_ms[first].tobytes(), counts.tobytes(), ids.tobytes()


def decode_spikes(times: bytes, counts: bytes, senders: bytes, n: int) -> tuple[FloatArray, IdArray]:
    """Return times [n] and senders [n] from what `encode_spikes` made."""
    t_ms = np.repeat(np.frombuffer(times, dtype="<f8"), np.frombuffer(counts, dtype="<u4"))
    ids = np.frombuffer(senders, dtype="<u2" if len(senders) == 2 * n else "<u4")
    return t_ms, ids.astype(np.uint32)


def checksum(*blobs: bytes) -> int:
    """Return the CRC-32 of the blobs in order."""
    crc = 0
    for blob in blobs:
        crc = zlib.crc32(blob, crc)
    return crc


def plain(value: object) -> object:
    """Return ``value`` in the types that JSON has; numbers that are not finite become None.

    Raises:
        RecordingError: For a type that has no JSON form.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise RecordingError(
        f"{value!r} of type {type(value).__name__} can't be recorded: use numbers, text, lists, dicts."
    )


def to_json(value: object, *, indent: int | None = None) -> str:
    """Return ``value`` as strict JSON (see `plain`)."""
    return json.dumps(plain(value), allow_nan=False, ensure_ascii=False, indent=indent)


def trial_table(trials: Sequence[Mapping[str, Any]]) -> str:
    """Return the trials as CSV for spreadsheets; lists and mappings stay JSON inside their cell."""
    table = io.StringIO(newline="")
    rows = csv.DictWriter(table, list(dict.fromkeys(name for trial in trials for name in trial)))
    rows.writeheader()
    for trial in trials:
        rows.writerow({k: to_json(v) if isinstance(v, list | dict) else v for k, v in trial.items()})
    return table.getvalue()


def sync_folder(folder: Path) -> None:
    """Make names that were added to or replaced in ``folder`` survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
