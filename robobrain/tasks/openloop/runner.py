"""An open-loop experiment from end to end: start a brain, play the protocol, leave a run directory."""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from robobrain.bridge.messages import Description, Port, Readings
from robobrain.recording import RunWriter, check_destination, create
from robobrain.tasks.histories import HistoryRecorder, check_stream_names
from robobrain.tasks.joystick.loop import channel_names
from robobrain.tasks.joystick.session import interrupt_between_exchanges
from robobrain.tasks.openloop.protocol import Floats, OpenLoopProtocol

if TYPE_CHECKING:
    from robobrain.bridge.link import LocalBrain

FLUSH_MS = 1000.0
STREAM_NAMES = {"motor": "motor_rate_hz", "region_rate": "region_rate_hz"}
"""Output ports that are recorded under the names of the closed loop's streams, as the figures read them."""
INPUT, PHASES = "brain_input", "phase_time_ms"
"""Streams beside those of ports and monitors."""
OWN_STREAMS = (INPUT, PHASES, *STREAM_NAMES.values())
"""What is recorded whatever the protocol declares."""
FIGURES = ("session", "raster", "rates")

Progress = Callable[[float, float], None]
"""Called after each exchange with the time that was played and the whole (ms)."""


@dataclass(frozen=True, kw_only=True)
class OpenLoopPlan:
    """What to run where.

    Attributes:
        protocol: The experiment.
        out: Run directory; must not exist, or be empty.
        name: Name of the protocol, for the manifest.
        threads: Threads of the kernel; None for the size's own.
        command: Command line that asked for the run, for the manifest.
    """

    protocol: OpenLoopProtocol
    out: Path
    name: str = ""
    threads: int | None = None
    command: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class OpenLoopResult:
    """What a run came to: status, times, and its figures."""

    status: str
    model_ms: float
    wall_ms: float
    files: tuple[Path, ...]


def run_open_loop(
    plan: OpenLoopPlan,
    *,
    on_build: Callable[[str, float], None] | None = None,
    on_progress: Progress | None = None,
) -> OpenLoopResult:
    """Play a protocol on a brain of this machine; Ctrl-C keeps what was recorded.

    Raises:
        ConfigurationError: A value of the protocol can't be used; no run directory is made.
        RecordingError: The run directory can't be written.
        BrainFault: The brain was lost; what was recorded is kept.
    """
    from robobrain.brain.config import local_brain  # noqa: PLC0415
    from robobrain.brain.inspection import inspect  # noqa: PLC0415
    from robobrain.brain.layout import planned_site  # noqa: PLC0415
    from robobrain.brain.scaling import scale  # noqa: PLC0415
    from robobrain.brain.tables import load_tables  # noqa: PLC0415

    protocol = plan.protocol
    check_destination(plan.out)
    inspect(protocol.devices, planned_site(scale(load_tables(), protocol.brain), protocol.exchange_ms))
    protocol.read_playbacks()
    check_stream_names(OWN_STREAMS, (monitor.name for monitor in protocol.devices.monitors))
    starting = local_brain(
        protocol.brain,
        exchange_ms=protocol.exchange_ms,
        threads=plan.threads,
        record_spikes=protocol.record_spikes,
        devices=protocol.devices,
        on_progress=on_build,
    )
    with starting as brain:
        deque(protocol.inputs(brain.description), maxlen=0)  # raises before a run directory is made
        brain.reset(protocol.seeds[0])  # so does what NEST itself refuses of the devices
        began = perf_counter()
        with create(plan.out, _manifest(plan, brain.description)) as writer:
            status, model_ms = _play(brain, protocol, writer, on_progress)
            writer.close(status)
    return OpenLoopResult(
        status=status, model_ms=model_ms, wall_ms=1e3 * (perf_counter() - began), files=_illustrate(plan.out)
    )


def _play(
    brain: LocalBrain,
    protocol: OpenLoopProtocol,
    writer: RunWriter,
    on_progress: Progress | None,
) -> tuple[str, float]:
    """Play all episodes; return status and model time."""
    recorder = _Recorder(writer, brain.description)
    whole_ms = protocol.duration_ms * len(protocol.seeds)
    with interrupt_between_exchanges() as interrupted:
        for number, seed in enumerate(protocol.seeds):
            offset_ms = number * protocol.duration_ms
            brain.reset(seed)
            for row in chain.from_iterable(protocol.inputs(brain.description)):
                began = perf_counter()
                readings = brain.step(row)
                recorder.add(offset_ms, row, readings, 1e3 * (perf_counter() - began))
                if on_progress is not None:
                    on_progress(offset_ms + readings.t_ms, whole_ms)
                if interrupted():
                    recorder.finish(offset_ms, brain.collect_all())
                    return "interrupted", offset_ms + readings.t_ms
            recorder.finish(offset_ms, brain.collect_all())
            end_ms = offset_ms + protocol.duration_ms
            trial = {"trial": number + 1, "seed": seed, "begin_ms": offset_ms, "end_ms": end_ms}
            writer.trial(trial | {"outcome": "complete"})
            for begin_ms, stop_ms, name in protocol.events():
                writer.event(offset_ms + begin_ms, "played", {"what": name, "end_ms": offset_ms + stop_ms})
            writer.commit()
    return "complete", whole_ms


def _stream_name(port: Port) -> str:
    return STREAM_NAMES.get(port.name, port.name)


class _Recorder:
    """Hands exchanges to a writer in chunks; session time runs on over the episodes."""

    def __init__(self, writer: RunWriter, description: Description) -> None:
        self._writer, self._description = writer, description
        self._rows: list[tuple[float, Floats, Readings, float]] = []
        self._ports = {
            _stream_name(port): (port, description.output_slice(port.name)) for port in description.outputs
        }
        for name, (port, _) in self._ports.items():
            writer.declare(name, port.unit, port.channels, "float32")
        if description.inputs:
            writer.declare(INPUT, "unit of the port", channel_names(description.inputs), "float32")
        writer.declare(PHASES, "ms", ("brain", "exchange"))
        self._histories = HistoryRecorder(writer, description)

    def add(self, offset_ms: float, told: Floats, readings: Readings, waited_ms: float) -> None:
        """Take an exchange of the episode that began at ``offset_ms``."""
        self._rows.append((offset_ms + readings.t_ms, told, readings, waited_ms))
        self._take_events(offset_ms, readings)
        if len(self._rows) * self._description.exchange_ms >= FLUSH_MS:
            self.flush()

    def finish(self, offset_ms: float, collected: Readings) -> None:
        """Take what no exchange had handed out, at the end of an episode."""
        self._take_events(offset_ms, collected)
        self.flush()

    def flush(self) -> None:
        """Hand over the exchanges taken so far."""
        rows, self._rows = self._rows, []
        if not rows:
            return
        t_ms = np.array([time_ms for time_ms, *_ in rows])
        outputs = np.stack([readings.outputs for _, _, readings, _ in rows])
        for name, (_, where) in self._ports.items():
            self._writer.append(name, t_ms, outputs[:, where])
        if self._description.inputs:
            self._writer.append(INPUT, t_ms, np.stack([told for _, told, _, _ in rows]))
        run_ms = np.array([readings.times.run_ms for _, _, readings, _ in rows])
        waited_ms = np.array([waited for *_, waited in rows])
        self._writer.append(PHASES, t_ms, np.stack([run_ms, np.maximum(waited_ms - run_ms, 0)], axis=1))
        self._writer.commit()

    def _take_events(self, offset_ms: float, readings: Readings) -> None:
        if readings.spikes is not None:
            self._writer.spikes(offset_ms + readings.spikes.t_ms, readings.spikes.sender)
        self._histories.add(readings.samples, offset_ms)


def _manifest(plan: OpenLoopPlan, brain: Description) -> dict[str, Any]:
    from robobrain.brain.devices import to_text  # noqa: PLC0415

    protocol = plan.protocol
    size = {"size": protocol.brain, "record_spikes": protocol.record_spikes}
    return {
        "command": list(plan.command),
        "seed": protocol.seeds[0],
        "seeds": list(protocol.seeds),
        "protocol": plan.name,
        "brain": {**size, **dataclasses.asdict(brain)},
        "experiment": {
            "description": protocol.description,
            "duration_ms": protocol.duration_ms,
            "tracks": [dataclasses.asdict(track) for track in protocol.tracks],
            "playbacks": [dataclasses.asdict(playback) for playback in protocol.playbacks],
            "devices": json.loads(to_text(protocol.devices)),
        },
    }


def _illustrate(folder: Path) -> tuple[Path, ...]:
    from robobrain.recording import figures, open  # noqa: PLC0415 - matplotlib is heavy

    run = open(folder)
    names = [*FIGURES]
    if figures.field_streams(run):
        names.append("fields")
    if any(event.name == "played" for event in run.events):
        names.append("responses")
    return tuple(figures.write(run, names))
