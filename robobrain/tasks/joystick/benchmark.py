"""Speed of the closed loop and of the exchange, as ``robobrain bench`` prints them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from robobrain.bridge.messages import readings_digest
from robobrain.seeding import generator
from robobrain.tasks.joystick.loop import EXCHANGES, Exchange, Loop
from robobrain.tasks.joystick.protocol import Stimulator, load_protocol
from robobrain.tasks.joystick.rig import FloatArray
from robobrain.tasks.joystick.session import SessionSummary
from robobrain.tasks.joystick.source import BrainSource
from robobrain.tasks.joystick.specification import load_task
from robobrain.tasks.joystick.trial import JoystickTask

if TYPE_CHECKING:
    from robobrain.bridge.link import LocalBrain

WARM_UP_MS = 500.0
"""Model time that is left out: a forked brain first copies the memory that it writes to."""
SOURCES, MONITORS = 16, 20
PHASES = ("run_ms", "encode_ms", "decode_ms", "wire_ms")

BuildListener = Callable[[str, float], None]


@dataclass(frozen=True, kw_only=True)
class LoopRun:
    """One measurement of a loop: its summary, and how long the kernel computed (encode, run, decode)."""

    summary: SessionSummary
    kernel_ms: float

    @property
    def efficiency(self) -> float:
        """Larger of kernel and body over the wall time: 1 where the slower one is all that takes time."""
        return max(self.kernel_ms, self.summary.times.body_ms) / self.summary.wall_ms

    @property
    def nest_efficiency(self) -> float:
        """The same with nothing but NEST's own Run as the brain."""
        return max(self.summary.times.brain_ms, self.summary.times.body_ms) / self.summary.wall_ms


@dataclass(frozen=True, kw_only=True)
class LoopRuns:
    """Repeated measurements of one loop; the figures are medians."""

    threads: int
    exchange: Exchange
    runs: tuple[LoopRun, ...]

    @property
    def real_time_factor(self) -> float:
        """Wall time over model time."""
        return statistics.median(run.summary.real_time_factor for run in self.runs)

    @property
    def efficiency(self) -> float:
        """As of one run."""
        return statistics.median(run.efficiency for run in self.runs)

    @property
    def nest_efficiency(self) -> float:
        """As of one run."""
        return statistics.median(run.nest_efficiency for run in self.runs)


@dataclass(frozen=True, kw_only=True)
class ExchangeCost:
    """What one exchange costs (ms).

    Attributes:
        run_ms: NEST's own Run; this and the next ones are medians.
        encode_ms: Writing the devices.
        decode_ms: Reading them.
        wire_ms: Everything else.
        added_ms: All but the Run.
        added_p99_ms: The same at 99 %.
        devices_ms: The mean whole exchange less that of the same brain without any device, measured in turn;
            the median of the pairs of episodes.
        devices_quartiles_ms: Between which half of the pairs lie.
        growth: ``added`` in the last tenth of an episode's exchanges over that in the first tenth; the median
            of the episodes.
    """

    run_ms: float
    encode_ms: float
    decode_ms: float
    wire_ms: float
    added_ms: float
    added_p99_ms: float
    devices_ms: float
    devices_quartiles_ms: tuple[float, float]
    growth: float


def measure_loop(
    source: BrainSource,
    *,
    seconds: float,
    seed: int,
    repeats: int,
    exchanges: Sequence[Exchange] = EXCHANGES,
    on_build: BuildListener | None = None,
) -> tuple[LoopRuns, ...]:
    """Run the default session's loop for ``seconds`` of model time, ``repeats`` times, without recording.

    Args:
        source: Where the brain comes from.
        seconds: Model time of each measurement.
        seed: Seed of the first one; the next ones follow.
        repeats: Number of measurements of each way to exchange; the ways take turns.
        exchanges: The ways to exchange.
        on_build: Told how far the brain is built.
    """
    from robobrain.body import Forelimb  # noqa: PLC0415

    runs: dict[Exchange, list[LoopRun]] = {exchange: [] for exchange in exchanges}
    with source.start(on_build) as link, closing(Forelimb()) as body:
        loops = {one: Loop(link, body, JoystickTask(load_task()), exchange=one) for one in exchanges}
        for repeat in range(repeats):
            for exchange, loop in loops.items():
                runs[exchange].append(_loop_run(loop, seconds, seed + repeat))
        threads = link.description.threads
    return tuple(
        LoopRuns(threads=threads, exchange=exchange, runs=tuple(done)) for exchange, done in runs.items()
    )


def _loop_run(loop: Loop, seconds: float, seed: int) -> LoopRun:
    exchange_ms = loop.brain.description.exchange_ms
    stimulator = Stimulator(load_protocol(), exchange_ms, generator(seed, "stimulation"))
    frame = loop.reset(seed)
    while frame.t_ms < WARM_UP_MS:
        frame = loop.step(stimulator.next(frame))
    summary, kernel_ms, start = SessionSummary(begin_ms=frame.t_ms), 0.0, perf_counter()
    while summary.model_ms < seconds * 1e3:
        frame = loop.step(stimulator.next(frame))
        times = frame.brain_times
        kernel_ms += times.encode_ms + times.run_ms + times.decode_ms
        summary = summary.after(frame, (perf_counter() - start) * 1e3)
    return LoopRun(summary=summary, kernel_ms=kernel_ms)


def measure_exchange(
    brain: str,
    *,
    exchanges: int,
    rounds: int = 12,
    sources: int = SOURCES,
    monitors: int = MONITORS,
    mixed: bool = False,
    threads: int | None = None,
    on_build: BuildListener | None = None,
) -> ExchangeCost:
    """Drive a brain with sources that change in every exchange and monitors; return the medians.

    Args:
        brain: Size of the brain.
        exchanges: Exchanges of an episode.
        rounds: Episodes with the devices, each after one without: shared machines change their pace.
        sources: Number of sources.
        monitors: Number of monitors.
        mixed: Take sources and monitors of all kinds in turn, instead of rates alone.
        threads: Threads of the kernel; None for the size's own.
        on_build: Told how far the brain is built.
    """
    from robobrain.brain.config import local_brain  # noqa: PLC0415
    from robobrain.brain.devices import to_text  # noqa: PLC0415
    from robobrain.brain.interfaces import parse_devices  # noqa: PLC0415

    devices = parse_devices("benchmark", _benchmark_devices(sources, monitors, mixed=mixed))
    with TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.yaml"
        bare.write_text("inputs: []\noutputs: []\n", encoding="utf-8")
        with local_brain(brain, threads=threads, interfaces=bare, on_progress=on_build) as link:
            pairs: list[tuple[_Stretch, _Stretch]] = []
            for seed in range(rounds):
                link.configure("")
                without = _stretch(link, exchanges, seed)
                link.configure(to_text(devices))
                pairs.append((without, _stretch(link, exchanges, seed)))
    times = {name: np.concatenate([with_.times[name] for _, with_ in pairs]) for name in PHASES}
    added = np.concatenate([with_.added_ms for _, with_ in pairs])
    differences = [with_.mean_ms - without.mean_ms for without, with_ in pairs]
    low, median, high = (float(value) for value in np.percentile(differences, (25, 50, 75)))
    return ExchangeCost(
        **{name: float(np.median(values)) for name, values in times.items()},
        added_ms=float(np.median(added)),
        added_p99_ms=float(np.percentile(added, 99)),
        devices_ms=median,
        devices_quartiles_ms=(low, high),
        growth=statistics.median(with_.growth for _, with_ in pairs),
    )


@dataclass(frozen=True, kw_only=True)
class ResetCost:
    """Times (ms) of each reset, first step, snapshot and restore, and memory of one instant (MB)."""

    threads: int
    synapses: int
    times_ms: Mapping[str, tuple[float, ...]]
    private_mb: float
    shared_mb: float
    equal: int


def measure_resets(
    brain: str, *, threads: int | None, repeats: int, on_build: BuildListener | None = None
) -> ResetCost:
    """Reset to one seed, run, keep an instant and return to it, ``repeats`` times; compare the episodes."""
    from robobrain.brain.config import local_brain  # noqa: PLC0415

    times: dict[str, list[float]] = {name: [] for name in ("reset", "first step", "snapshot", "restore")}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        began = perf_counter()
        result = call()
        times[name].append(1e3 * (perf_counter() - began))
        return result

    with local_brain(brain, threads=threads, record_spikes=True, on_progress=on_build) as link:
        inputs = generator(1, "benchmark").random(link.description.input_size, dtype=np.float32)
        episodes: list[bytes] = []
        for _ in range(repeats):
            timed("reset", lambda: link.reset(1))
            answers = [timed("first step", lambda: link.step(inputs))]
            answers += [link.step(inputs) for _ in range(20)]
            instant = timed("snapshot", link.snapshot)
            answers += [link.step(inputs) for _ in range(5)]
            timed("restore", partial(link.restore, instant))
            answers += [link.step(inputs) for _ in range(5)]
            (kept,) = link.snapshots()
            link.drop(instant)
            episodes.append(b"".join(readings_digest(answer) for answer in answers))
        return ResetCost(
            threads=link.description.threads,
            synapses=link.description.synapses,
            times_ms={name: tuple(values) for name, values in times.items()},
            private_mb=kept.private_bytes / 1e6,
            shared_mb=kept.shared_bytes / 1e6,
            equal=sum(episode == episodes[0] for episode in episodes),
        )


@dataclass(frozen=True, kw_only=True)
class _Stretch:
    """Times of successive exchanges by phase."""

    times: dict[str, FloatArray]

    @property
    def mean_ms(self) -> float:
        """Mean time of a whole exchange."""
        return float(np.mean(np.sum(list(self.times.values()), axis=0)))

    @property
    def growth(self) -> float:
        """All but the Run in the last tenth of the exchanges over that in the first tenth."""
        added, tenth = self.added_ms, max(1, len(self.added_ms) // 10)
        return float(np.median(added[-tenth:]) / np.median(added[:tenth]))

    @property
    def added_ms(self) -> FloatArray:
        """All but the Run, for each exchange."""
        return self.times["encode_ms"] + self.times["decode_ms"] + self.times["wire_ms"]


def _stretch(link: LocalBrain, exchanges: int, seed: int) -> _Stretch:
    """Begin an episode and measure exchanges with new random inputs in each."""
    link.reset(seed)
    rng = generator(seed, "benchmark")
    size = link.description.input_size
    for _ in range(round(WARM_UP_MS / link.description.exchange_ms)):
        link.step(rng.random(size, dtype=np.float32))
    times = [link.step(rng.random(size, dtype=np.float32)).times for _ in range(exchanges)]
    return _Stretch(times={name: np.array([getattr(time, name) for time in times]) for name in PHASES})


def _benchmark_devices(sources: int, monitors: int, *, mixed: bool) -> dict[str, list[dict[str, Any]]]:
    """Return sources and monitors, each kind on all of eight populations that every brain has."""
    zones = [f"{zone}_{cell}" for zone in ("VL_EZ", "VL_IZ", "VM_EZ", "VM_IZ") for cell in ("TC", "TCm")]
    wanted: dict[str, list[dict[str, Any]]] = {}
    common: dict[str, Any] = {"provenance": {"assumed": "only to measure cost"}, "description": "benchmark"}
    port: dict[str, Any] = common | {"unit": "1", "channels": ["value"], "low": 0.0, "high": 1.0}
    for number in range(sources):
        cells = {"population": zones[number // (5 if mixed else 1) % 8], "fraction": 0.2}
        rate = port | {
            "encoder": {"rate": {"gain_hz_per_unit": 50.0, "max_hz": 50.0}},
            "targets": [cells | {"weight_nS": 1.0}],
        }
        current = port | {
            "encoder": {"current": {"gain_pA_per_unit": 1.0, "max_pA": 1.0}},
            "targets": [cells],
        }
        spikes = port | {
            "encoder": {"spikes": {"gain_per_unit": 1.0, "max_spikes": 1}},
            "targets": [cells | {"weight_nS": 1.0}],
        }
        equation = common | {
            "equation": "20 + 15 * sin(2 * pi * 8 * t)",
            "unit": "Hz",
            "weight_nS": 1.0,
            "low": 0.0,
            "high": 50.0,
            "targets": [cells],
        }
        noise = common | {"noise": {"mean": 0.0, "deviation": 1.0}, "targets": [cells]}
        kinds: list[tuple[str, dict[str, Any]]] = [("inputs", rate)]
        if mixed:
            kinds += [("inputs", current), ("inputs", spikes), ("equations", equation), ("noises", noise)]
        section, entry = kinds[number % len(kinds)]
        wanted.setdefault(section, []).append(entry | {"name": f"source{number}"})
    for number in range(monitors):
        cells = {"population": zones[number // (4 if mixed else 1) % 8]}
        rates = port | {"decoder": {"rate": {"tau_rise_ms": 5.0, "tau_decay_ms": 30.0}}, "cells": cells}
        times = port | {"decoder": {"spike_times": True}, "cells": cells}
        field = common | {"signal": "lfp", "groups": {"all": [cells]}, "interval_ms": 2.0}
        voltage = common | {"targets": [cells | {"fraction": 0.1}]}
        listeners: list[tuple[str, dict[str, Any]]] = [("outputs", rates)]
        if mixed:
            listeners += [("outputs", times), ("fields", field), ("voltages", voltage)]
        section, entry = listeners[number % len(listeners)]
        wanted.setdefault(section, []).append(entry | {"name": f"monitor{number}"})
    return wanted
