"""What of a closed loop is recorded: the streams, and how frames become samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from robobrain.body.specification import JOINT_NAMES, MUSCLE_NAMES, PHYSICS_NAMES
from robobrain.bridge.messages import Description, Port, Readings, readings_digest
from robobrain.recording import RunWriter
from robobrain.tasks.histories import HistoryRecorder, check_stream_names
from robobrain.tasks.joystick.loop import MOTOR, REGION_RATE, Frame, channel_names
from robobrain.tasks.joystick.reward import REWARD_TERMS
from robobrain.tasks.joystick.rig import FloatArray
from robobrain.tasks.joystick.trial import TICK_MS

Samples = NDArray[np.float64] | NDArray[np.float32] | NDArray[np.int64]

BODY_STATE = "body_state"
"""Stream of coordinates, speeds and activations, from which the body can be shown again."""

JOURNAL = ("stimulation", "brain_input", "brain_digest")
"""Streams that determine the run and prove its course."""
LOOP_OUTPUTS = (MOTOR, REGION_RATE)
"""Output ports that the loop itself reads, recorded in its own words."""
FLUSH_MS = 600.0
"""Frames are handed over after this much session time, or wall-clock time, whichever is sooner.

It bounds, with what the writer itself gathers (0.02 s), what a crash can cost. Handing over and writing cost
about 1 ms each time, however much it is.
"""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A recorded stream. ``read`` gives of a frame one row [columns], or one per ms [ms, columns]."""

    name: str
    unit: str
    columns: tuple[str, ...]
    read: Callable[[Frame], Samples]
    dtype: str = "float64"


def streams(description: Description) -> tuple[Stream, ...]:
    """Return the streams of a loop with the described brain.

    Samples carry the time of the end of what they describe: paths and the lateral force one per ms, all
    others one per exchange. ``brain_input`` was read from the body at the exchange's beginning. Output ports
    beyond those of the loop are streams of their own.

    Raises:
        ConfigurationError: Two streams, or a stream and a monitor, have the same name.
    """
    plane = ("lateral", "pull")
    regions = next((port.channels for port in description.outputs if port.name == REGION_RATE), ())
    told = channel_names(description.inputs)
    every = (
        Stream(name="joystick_mm", unit="mm", columns=plane, read=lambda f: f.joystick_mm),
        Stream(name="paw_mm", unit="mm", columns=(*plane, "vertical"), read=lambda f: f.paw_mm),
        Stream(
            name="lateral_force_mN",
            unit="mN",
            columns=("lateral",),
            read=lambda f: f.lateral_force_mN[:, None],
        ),
        _per_exchange("excitation", "1", MUSCLE_NAMES, lambda f: f.excitation),
        _per_exchange("activation", "1", MUSCLE_NAMES, lambda f: f.body.muscle_activation),
        _per_exchange("motor_rate_hz", "Hz", MUSCLE_NAMES, lambda f: f.motor_rate_hz),
        _per_exchange("stimulation", "1", MUSCLE_NAMES, lambda f: f.stimulation),
        _per_exchange("region_rate_hz", "Hz", regions, lambda f: f.region_rate_hz),
        _per_exchange("muscle_length", "1", MUSCLE_NAMES, lambda f: f.body.muscle_strain),
        _per_exchange("muscle_velocity_per_s", "1/s", MUSCLE_NAMES, lambda f: f.body.muscle_velocity_per_s),
        _per_exchange("muscle_force", "1", MUSCLE_NAMES, lambda f: f.body.muscle_force),
        _per_exchange("joint_angle_rad", "rad", JOINT_NAMES, lambda f: f.body.joint_angle_rad),
        _per_exchange(BODY_STATE, "rad, rad/s, 1", PHYSICS_NAMES, lambda f: f.body.physics),
        _per_exchange(
            "reward", "1", REWARD_TERMS, lambda f: np.array([f.reward_terms[name] for name in REWARD_TERMS])
        ),
        _per_exchange(
            "phase_time_ms",
            "ms",
            ("brain", "body", "exchange", "task"),
            lambda f: np.array([f.times.brain_ms, f.times.body_ms, f.times.exchange_ms, f.times.task_ms]),
        ),
        _per_exchange("brain_input", "unit of the port", told, lambda f: f.brain_input, dtype="float32"),
        _per_exchange("brain_digest", "1", ("outputs and spikes",), _brain_digest, dtype="int64"),
        *(_monitor(description, port) for port in description.outputs if port.name not in LOOP_OUTPUTS),
    )
    check_stream_names((stream.name for stream in every), (history.name for history in description.histories))
    return tuple(stream for stream in every if stream.columns)


def _monitor(description: Description, port: Port) -> Stream:
    where = description.output_slice(port.name)
    return _per_exchange(
        port.name, port.unit, port.channels, lambda f: f.brain_output[where], dtype="float32"
    )


class Recorder:
    """Hands the frames of a loop to a writer, at least each ``FLUSH_MS``, and spikes as soon as they come.

    Args:
        writer: Where to; it stays the caller's to close.
        description: The brain of the loop.
    """

    def __init__(self, writer: RunWriter, description: Description) -> None:
        self._writer, self._streams = writer, streams(description)
        self._histories = HistoryRecorder(writer, description)
        self._frames: list[Frame] = []
        self._began_s = 0.0
        for stream in self._streams:
            writer.declare(stream.name, stream.unit, stream.columns, stream.dtype)

    def add(self, frame: Frame, _: object = None) -> None:
        """Take a frame (and, as a session's listener, leave its summary alone)."""
        if not self._frames:
            self._began_s = monotonic()
        self._frames.append(frame)
        held_ms = max(frame.t_ms - self._frames[0].t_ms, 1e3 * (monotonic() - self._began_s))
        if held_ms >= FLUSH_MS or frame.spikes is not None:
            self.flush()

    def flush(self) -> None:
        """Hand over what was taken so far."""
        frames, self._frames = self._frames, []
        if not frames:
            return
        end_ms = np.array([frame.t_ms for frame in frames])
        tick_ms = np.concatenate([ticks_ms(frame) for frame in frames])
        for stream in self._streams:
            rows = np.concatenate([stream.read(frame) for frame in frames])
            samples = rows.reshape(-1, len(stream.columns))
            self._writer.append(stream.name, tick_ms if len(samples) == len(tick_ms) else end_ms, samples)
        self._flush_occurrences(frames)
        self._writer.commit()

    def finish(self, collected: Readings) -> None:
        """Hand over the spikes and samples that the brain had not handed out with a frame."""
        if collected.spikes is not None:
            self._writer.spikes(collected.spikes.t_ms, collected.spikes.sender)
        self._histories.add(collected.samples)

    def _flush_occurrences(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            if frame.spikes is not None:
                self._writer.spikes(frame.spikes.t_ms, frame.spikes.sender)
            self._histories.add(frame.samples)
            for event in frame.events:
                self._writer.event(event.t_ms, event.name, dict(event.detail))
            if frame.trial is not None:
                self._writer.trial(frame.trial.row())


def _brain_digest(frame: Frame) -> NDArray[np.int64]:
    readings = Readings(outputs=frame.brain_output, spikes=frame.spikes)
    return np.frombuffer(readings_digest(readings), dtype="<i8")


def _per_exchange(
    name: str,
    unit: str,
    columns: tuple[str, ...],
    read: Callable[[Frame], Samples],
    dtype: str = "float64",
) -> Stream:
    return Stream(name=name, unit=unit, columns=columns, read=read, dtype=dtype)


def ticks_ms(frame: Frame) -> FloatArray:
    """Return the time of each ms of a frame."""
    ticks = len(frame.joystick_mm)
    ages = np.arange(ticks - 1, -1, -1, dtype=np.float64)
    return frame.t_ms - TICK_MS * ages
