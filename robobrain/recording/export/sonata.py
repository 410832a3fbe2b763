"""SONATA spikes: one HDF5 file with a group per population. Needs h5py."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from robobrain.recording.export.neurons import Neurons
from robobrain.recording.reader import Run

MAGIC, VERSION = 0x0A7A, (0, 1)
BY_TIME = 2
"""Code of the order "by_time" in SONATA's enumeration of sortings."""


def write_sonata(run: Run, file: Path, neurons: Neurons) -> None:
    """Write spikes as ``/spikes/POPULATION/{timestamps,node_ids}``, sorted by time in ms.

    Node ids count from 0 within each population; NEST's id of node 0 is the attribute ``first_id``.
    """
    sorting = h5py.enum_dtype({"none": 0, "by_id": 1, "by_time": BY_TIME}, basetype="u1")
    with h5py.File(file, "w") as output:
        output.attrs["magic"] = np.uint32(MAGIC)
        output.attrs["version"] = np.array(VERSION, dtype=np.uint32)
        for name, ids in neurons.ids.items():
            t_ms, sender = run.spikes(name)
            chosen = np.isin(sender, ids)
            first_id = run.populations[name].first_id
            group = output.create_group(f"spikes/{name}")
            group.attrs.create("sorting", BY_TIME, dtype=sorting)
            group.attrs["first_id"] = np.uint64(first_id)
            times = group.create_dataset("timestamps", data=t_ms[chosen], compression="gzip")
            times.attrs["units"] = "ms"
            group.create_dataset(
                "node_ids", data=(sender[chosen] - first_id).astype(np.uint64), compression="gzip"
            )
