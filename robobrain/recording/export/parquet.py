"""Parquet: tables of trials, events, spikes and signals for data frames. Needs pyarrow."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from robobrain.recording.export.neurons import Neurons
from robobrain.recording.reader import Run

WINDOW_MS = 60_000.0
"""Spikes and samples are written in pieces of this much session time, so that memory stays small."""
STREAMS = "streams"
"""Folder of the streams' tables: whatever a stream is called, it takes no other table's place."""
LONGEST_NAME = 255 - len(".parquet")
"""Bytes that the name of a table may have before its ending; most file systems take 255."""


def write_parquet(run: Run, folder: Path, neurons: Neurons) -> None:
    """Write the tables ``trials``, ``events`` and ``spikes``, and ``streams/NAME`` for each stream.

    In file names ``/`` is written as ``%2F``, ``%`` as ``%25``, and names that are too long end in ``%-`` and
    a digest. The metadata of a stream's table hold its name under ``stream`` and its unit under ``unit``.
    """
    folder.mkdir()
    if trials := run.trials:
        names = dict.fromkeys(name for trial in trials for name in trial)
        table = pa.table({name: [trial.get(name) for trial in trials] for name in names})
        parquet.write_table(table, folder / "trials.parquet")
    events = run.events
    columns = {
        "t_ms": pa.array([event.t_ms for event in events], pa.float64()),
        "name": pa.array([event.name for event in events], pa.string()),
        "detail": pa.array([json.dumps(event.detail) for event in events], pa.string()),
    }
    parquet.write_table(pa.table(columns), folder / "events.parquet")
    if neurons.count:
        _write_spikes(run, folder / "spikes.parquet", neurons)
    (folder / STREAMS).mkdir()
    for name in run.streams:
        _write_stream(run, folder / STREAMS / f"{_file_stem(name)}.parquet", name)


def _file_stem(name: str) -> str:
    """Return a stream's name as a file can have it; no two streams get the same."""
    stem = re.sub(r"[%/\0]", lambda found: f"%{ord(found[0]):02X}", name)
    if len(stem.encode()) <= LONGEST_NAME:
        return stem
    digest = hashlib.sha256(name.encode()).hexdigest()[:32]
    beginning = stem.encode()[: LONGEST_NAME - len(digest) - len("%-")].decode(errors="ignore")
    return f"{beginning}%-{digest}"


def _windows(run: Run) -> list[tuple[float, float]]:
    first, last = run.span_ms
    return [(float(t), float(t) + WINDOW_MS) for t in np.arange(first, last + 1e-6, WINDOW_MS)]


def _write_spikes(run: Run, file: Path, neurons: Neurons) -> None:
    names = list(neurons.ids)
    regions = [run.populations[name].region for name in names]
    top = max(int(ids[-1]) for ids in neurons.ids.values())
    group = np.full(top + 2, -1, dtype=np.int32)
    for index, ids in enumerate(neurons.ids.values()):
        group[ids] = index
    words = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema(
        [("t_ms", pa.float64()), ("neuron", pa.uint32()), ("population", words), ("region", words)],
        metadata={"unit": "ms"},
    )
    with parquet.ParquetWriter(file, schema) as writer:
        for t0_ms, t1_ms in _windows(run):
            t_ms, sender = run.spikes(None, t0_ms, t1_ms)
            code = group[np.minimum(sender, top + 1)]
            chosen = code >= 0
            codes = pa.array(code[chosen])
            columns: list[Any] = [pa.array(t_ms[chosen]), pa.array(sender[chosen])]
            columns += [pa.DictionaryArray.from_arrays(codes, labels) for labels in (names, regions)]
            writer.write_table(pa.table(columns, schema=schema))


def _write_stream(run: Run, file: Path, name: str) -> None:
    stream = run.streams[name]
    kind = pa.from_numpy_dtype(np.dtype(stream.dtype))
    fields = [("t_ms", pa.float64()), *((column, kind) for column in stream.columns)]
    schema = pa.schema(fields, metadata={"stream": name, "unit": stream.unit})
    with parquet.ParquetWriter(file, schema) as writer:
        for t0_ms, t1_ms in _windows(run):
            t_ms, values = run.array(name, t0_ms, t1_ms)
            columns = [pa.array(t_ms), *(pa.array(np.ascontiguousarray(column)) for column in values.T)]
            writer.write_table(pa.table(columns, schema=schema))
