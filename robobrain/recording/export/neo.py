"""Neo: a block for Elephant, and files of it in NIX (HDF5). Needs neo and nixio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import neo
import numpy as np
import quantities as pq

from robobrain.recording.export.neurons import Neurons, choose_neurons, spike_trains
from robobrain.recording.reader import Run

QUANTITIES = {
    "mm": pq.mm,
    "mN": pq.UnitQuantity("millinewton", pq.N / 1e3, symbol="mN"),
    "ms": pq.ms,
    "Hz": pq.Hz,
    "rad": pq.rad,
    "1/s": 1 / pq.s,
    "mV": pq.mV,
}
"""Units of streams; others become dimensionless, with their name in the annotation ``unit``."""


def to_neo(run: Run, neurons: Neurons | None = None) -> neo.Block:
    """Return a run as a Neo block with one segment.

    Spike trains are annotated with neuron, population and region; signals with their columns; trials are
    epochs and task events are events. Times are milliseconds of session time.
    """
    chosen = choose_neurons(run, "all") if neurons is None else neurons
    manifest = run.manifest
    block = neo.Block(
        name=run.path.resolve().name,
        description="robobrain run",
        run_id=str(manifest["run_id"]),
        brain=str((manifest.get("brain") or {}).get("identity")),
        **({"seed": manifest["seed"]} if "seed" in manifest else {}),  # NIX takes no None
    )
    segment = neo.Segment(name="session")
    block.segments.append(segment)
    first, last = run.span_ms
    home = {int(i): run.populations[name] for name, ids in chosen.ids.items() for i in ids}
    for neuron, t_ms in spike_trains(run, chosen).items():
        segment.spiketrains.append(
            neo.SpikeTrain(t_ms * pq.ms, t_start=min(first, 0.0) * pq.ms, t_stop=last * pq.ms,
                           neuron=neuron, population=home[neuron].name, region=home[neuron].region)
        )  # fmt: skip
    for name in run.streams:
        _add_signal(segment, run, name)
    events = run.events
    moments = np.array([event.t_ms for event in events], dtype=np.float64)
    labels = np.array([event.name for event in events], dtype="U")
    segment.events.append(neo.Event(moments * pq.ms, labels=labels, name="task events"))
    trials = [t for t in run.trials if t.get("begin_ms") is not None and t.get("end_ms") is not None]
    begin = np.array([trial["begin_ms"] for trial in trials], dtype=np.float64)
    end = np.array([trial["end_ms"] for trial in trials], dtype=np.float64)
    outcomes = np.array([str(trial.get("outcome")) for trial in trials], dtype="U")
    segment.epochs.append(
        neo.Epoch(begin * pq.ms, durations=(end - begin) * pq.ms, labels=outcomes, name="trials")
    )
    block.check_relationships()
    return block


def _add_signal(segment: Any, run: Run, name: str) -> None:
    stream = run.streams[name]
    t_ms, values = run.array(name)
    if not len(t_ms):
        return
    about = {"name": name, "columns": list(stream.columns), "unit": stream.unit}
    data = values * QUANTITIES.get(stream.unit, pq.dimensionless)
    steps = np.diff(t_ms)
    if len(steps) and (steps == steps[0]).all() and steps[0] > 0:
        segment.analogsignals.append(
            neo.AnalogSignal(data, t_start=t_ms[0] * pq.ms, sampling_period=steps[0] * pq.ms, **about)
        )
    else:
        segment.irregularlysampledsignals.append(neo.IrregularlySampledSignal(t_ms * pq.ms, data, **about))


def write_neo(run: Run, file: Path, neurons: Neurons) -> None:
    """Write a run as a NIX file, which ``neo.NixIO`` reads."""
    output = neo.NixIO(str(file), "ow")
    try:
        output.write_block(to_neo(run, neurons))
    finally:
        output.close()
