"""Neurodata Without Borders: one file with units, signals, stimulus and trials. Needs pynwb."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from hdmf.backends.hdf5.h5_utils import H5DataIO
from hdmf.common import VectorData, VectorIndex
from pynwb import NWBHDF5IO, NWBFile, ProcessingModule, TimeSeries
from pynwb.event import EventsTable, TimestampVectorData
from pynwb.file import Subject
from pynwb.misc import Units

from robobrain.recording.export.neurons import Neurons, spike_trains
from robobrain.recording.layout import FloatArray, Stream
from robobrain.recording.reader import Run

SI_UNITS = {
    "mm": ("meters", 1e-3),
    "mN": ("newtons", 1e-3),
    "ms": ("seconds", 1e-3),
    "Hz": ("hertz", 1.0),
    "rad": ("radians", 1.0),
    "1/s": ("1/s", 1.0),
    "mV": ("volts", 1e-3),
    "pA": ("amperes", 1e-12),
    "1": ("n.a.", 1.0),
}
"""Unit and factor to it of what is recorded; other units stay as they are."""

STIMULUS = ("stimulation", "lateral_force_mN")
"""Streams that act on the brain or the limb from outside; all others were measured."""

BRAIN = ("motor_rate_hz", "region_rate_hz", "brain_input")
"""Streams of the brain, beside what its monitors gave; the rest are behaviour."""

_COLUMNS = {"mV": "Membrane potential of neurons or summed over groups; numbers are NEST's ids of neurons."}

TRIAL_TIMES = {"cue_ms": "cue_time", "start_ms": "movement_onset_time"}
"""Moments of a trial with their columns, beside start and stop."""


def write_nwb(run: Run, file: Path, neurons: Neurons) -> None:
    """Write a run as an NWB file.

    Times are seconds of session time. Streams keep their numbers as recorded; unit and conversion lead to
    SI units. The subject is a placeholder: the record is that of a simulation.
    """
    nwb = _file(run)
    for module in (
        ProcessingModule(name="behavior", description="Limb, joystick and task of the simulated animal."),
        ProcessingModule(name="ecephys", description="Rates and inputs of the simulated brain."),
    ):
        nwb.add_processing_module(module)
    monitors = _monitors(run)
    for name, stream in run.streams.items():
        t_ms, values = run.array(name)
        if not len(t_ms):
            continue
        series = _series(stream, t_ms, values, monitors.get(name, ""))
        if name in STIMULUS:
            nwb.add_stimulus(series)
        else:
            nwb.processing["ecephys" if name in BRAIN or name in monitors else "behavior"].add(series)
    _add_events(nwb, run)
    _add_trials(nwb, run)
    trains = spike_trains(run, neurons) if neurons.count else {}
    if any(map(len, trains.values())):
        nwb.units = _units(run, neurons, trains)
    with NWBHDF5IO(str(file), "w") as io:
        io.write(nwb)


def _file(run: Run) -> NWBFile:
    manifest = run.manifest
    brain: dict[str, Any] = manifest.get("brain") or {}
    task = (manifest.get("task") or {}).get("name", "unknown")
    return NWBFile(
        session_description=f"Simulated session of the joystick task '{task}' with a spiking brain model.",
        identifier=str(manifest["run_id"]),
        session_start_time=datetime.fromisoformat(manifest["started"]),
        session_id=run.path.resolve().name,
        experiment_description=(
            f"Closed loop of a spiking network (NEST {brain.get('nest_version')}, size {brain.get('size')}, "
            f"{brain.get('neurons')} neurons, identity {brain.get('identity')}) and a musculoskeletal model "
            f"of a mouse's forelimb (MuJoCo), protocol {manifest.get('protocol')}, "
            f"seed {manifest.get('seed')}."
        ),
        experimenter=["Simulation, Robobrain"],
        institution="none (simulation)",
        keywords=["simulation", "spiking neural network", "forelimb", "joystick", "NEST", "MuJoCo"],
        source_script=" ".join(map(str, manifest.get("command") or ["robobrain"])),
        source_script_file_name="robobrain",
        subject=Subject(
            subject_id="simulated-mouse",
            species="Mus musculus",
            sex="U",
            age="P0D/",
            description="Placeholder: a model, no animal. Age and sex are not defined.",
        ),
    )


def _monitors(run: Run) -> dict[str, str]:
    """Return what the brain's monitors say about themselves, by name; columns of potentials are neurons."""
    brain: dict[str, Any] = run.manifest.get("brain") or {}
    return {
        one["name"]: one.get("description") or _COLUMNS.get(one["unit"], "")
        for one in (*(brain.get("outputs") or ()), *(brain.get("histories") or ()))
    }


def _series(stream: Stream, t_ms: FloatArray, values: np.ndarray[Any, Any], about: str) -> TimeSeries:
    unit, conversion = SI_UNITS.get(stream.unit, (stream.unit, 1.0))
    return TimeSeries(
        name=stream.name,
        description=f"{about} Columns: {', '.join(stream.columns)}.".lstrip(),
        data=_packed(values[:, 0] if len(stream.columns) == 1 else values),
        unit=unit,
        conversion=conversion,
        comments=f"Recorded in: {stream.unit}",
        **_timing(t_ms),
    )


def _timing(t_ms: FloatArray) -> dict[str, Any]:
    """Return start and rate of regular times, else the times themselves."""
    steps = np.diff(t_ms)
    if len(steps) and (steps == steps[0]).all() and steps[0] > 0:
        return {"starting_time": t_ms[0] / 1e3, "rate": 1e3 / steps[0]}
    return {"timestamps": _packed(t_ms / 1e3)}


def _packed(values: np.ndarray[Any, Any]) -> H5DataIO:
    return H5DataIO(np.ascontiguousarray(values), compression="gzip", compression_opts=4)


def _add_events(nwb: NWBFile, run: Run) -> None:
    events = sorted(run.events, key=lambda event: event.t_ms)
    if not events:
        return
    times = TimestampVectorData(
        name="timestamp",
        description="Time of the event in seconds of session time.",
        data=np.array([event.t_ms for event in events]) / 1e3,
        resolution=1e-3,
    )
    names = VectorData(name="annotation", description="The event.", data=[event.name for event in events])
    said = ["; ".join(f"{name} = {value}" for name, value in event.detail.items()) for event in events]
    details = VectorData(name="detail", description="More about it.", data=said)
    nwb.add_events_table(
        EventsTable(
            name="task_events",
            description="Events of the task: trials, cues, starts, forces, target, rewards.",
            source_description="Trial logic of the simulated task, sampled at 1 kHz.",
            columns=[times, names, details],
        )
    )


def _add_trials(nwb: NWBFile, run: Run) -> None:
    trials = [t for t in run.trials if t.get("begin_ms") is not None and t.get("end_ms") is not None]
    columns = {
        name: TRIAL_TIMES.get(name, name)
        for name in dict.fromkeys(key for trial in trials for key in trial)
        if name not in ("begin_ms", "end_ms") and any(trial.get(name) is not None for trial in trials)
    }
    rewarded = {trial.get("reward") for trial in trials} <= {0, 1}
    for name, column in columns.items():
        about = "seconds" if name in TRIAL_TIMES else "as named, in the unit that the name ends in"
        nwb.add_trial_column(column, f"{column.replace('_', ' ')} ({about})")
    for trial in trials:
        row: dict[str, Any] = {}
        for name, column in columns.items():
            value = trial.get(name)
            if name in TRIAL_TIMES:
                row[column] = np.nan if value is None else value / 1e3
            elif name == "reward" and rewarded:
                row[column] = bool(value)
            else:
                row[column] = np.nan if value is None else value
        nwb.add_trial(start_time=trial["begin_ms"] / 1e3, stop_time=trial["end_ms"] / 1e3, **row)


def _units(run: Run, neurons: Neurons, trains: Mapping[int, FloatArray]) -> Units:
    fired = {neuron: train for neuron, train in trains.items() if len(train)}
    home = {int(i): run.populations[name] for name, ids in neurons.ids.items() for i in ids}
    times = VectorData(
        name="spike_times",
        description="Times of the spikes in seconds of session time.",
        data=_packed(np.concatenate([np.empty(0), *fired.values()]) / 1e3),
    )
    ends = np.cumsum([len(train) for train in fired.values()], dtype=np.uint64)
    labels = {"population": [home[i].name for i in fired], "region": [home[i].region for i in fired]}
    return Units(
        name="units",
        description=(
            f"Neurons of the model ({neurons.selection}); ids are NEST's. {len(trains) - len(fired)} chosen "
            f"neurons never fired and are left out."
        ),
        id=list(fired),
        columns=[
            times,
            VectorIndex(name="spike_times_index", data=ends, target=times),
            *(VectorData(name=n, description=f"{n} of the neuron", data=d) for n, d in labels.items()),
        ],
        resolution=float((run.manifest.get("brain") or {}).get("resolution_ms") or 0.1) / 1e3,
    )
