"""What recording costs, as ``robobrain bench recording`` prints it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time, thread_time
from typing import Any, Self

import numpy as np

from robobrain import recording
from robobrain.recording import RunWriter
from robobrain.seeding import generator
from robobrain.tasks.joystick.benchmark import WARM_UP_MS, BuildListener
from robobrain.tasks.joystick.loop import Loop
from robobrain.tasks.joystick.protocol import Stimulator, load_protocol
from robobrain.tasks.joystick.specification import load_task
from robobrain.tasks.joystick.streams import Recorder
from robobrain.tasks.joystick.trial import JoystickTask

TURN_MS = 500.0
"""The two loops take turns of this much model time, so that both see the same machine."""
SPIKES, BATCHES = 10_000_000, 10_000
SEGMENTS = 1000
WINDOWS = 9


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Median of some measurements, with the smallest and the largest."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the spread of values."""
        return cls(median=statistics.median(values), least=min(values), most=max(values))


@dataclass(frozen=True, kw_only=True)
class RecordingCost:
    """Loops that are recorded beside loops that are not, each time on two brains that were built anew.

    The memory of a process lies as it happens to lie, which alone makes equal brains differ by some percent:
    therefore several pairs of brains, and the spread over them.

    Attributes:
        added: Wall time that recording adds, relative to the loop without: of each pair the median over
            turns of `TURN_MS`.
        added_cpu: CPU time that it adds in environment, kernel and writer together, relative to the loop
            without.
        in_loop: Part of the recorded loop's wall time that is spent in its recorder.
        writer: CPU time of the writing thread, relative to the wall time of the loop without.
        spikes_per_s: Spikes recorded per second of model time.
        bytes_per_hour: Growth of the store per hour of model time.
        backpressure_ms: How long the loop waited for the disk, at most.
    """

    added: Spread
    added_cpu: Spread
    in_loop: Spread
    writer: Spread
    spikes_per_s: float
    bytes_per_hour: float
    backpressure_ms: float


@dataclass(frozen=True, kw_only=True)
class StoreSpeed:
    """Speed of the store on its own.

    Attributes:
        write_s: To write 10 million spikes in 10,000 commits, until all are on disk.
        commit_ms: Longest call of ``commit`` meanwhile.
        window_ms: To open the run and read one second from the middle of them, median.
        open_ms: To open a run of 1,000 segments and read its state and streams, median.
    """

    write_s: float
    commit_ms: float
    window_ms: float
    open_ms: float


class _Turns:
    """A loop that is run for a while whenever it is its turn."""

    def __init__(self, loop: Loop, kernel: int, seed: int, writer: RunWriter | None = None) -> None:
        self._loop = loop
        description = loop.brain.description
        self._recorder = None if writer is None else Recorder(writer, description)
        self._stimulator = Stimulator(
            load_protocol(), description.exchange_ms, generator(seed, "stimulation")
        )
        self._frame = loop.reset(seed)
        self._kernel = kernel
        self.recorder_s = self.cpu_s = 0.0

    def run(self, until_ms: float) -> float:
        """Run up to a session time and return the seconds it took."""
        began, cpu_s = perf_counter(), thread_time() + _group_cpu_s(self._kernel)
        while self._frame.t_ms < until_ms:
            self._frame = self._loop.step(self._stimulator.next(self._frame))
            if self._recorder is not None:
                handed = perf_counter()
                self._recorder.add(self._frame)
                self.recorder_s += perf_counter() - handed
        self.cpu_s += thread_time() + _group_cpu_s(self._kernel) - cpu_s
        return perf_counter() - began


def _group_cpu_s(group: int) -> float:
    """Return the CPU time that the living processes of a process group have used."""
    used_ns = 0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if int((place / "stat").read_text().rsplit(")", 1)[1].split()[2]) == group:
                used_ns += sum(int(one.read_text().split()[0]) for one in place.glob("task/*/schedstat"))
        except OSError:
            continue  # it has just ended
    return used_ns / 1e9


def measure_recording(
    brain: str,
    *,
    threads: int | None,
    seconds: float,
    seed: int,
    repeats: int,
    on_build: BuildListener | None = None,
) -> RecordingCost:
    """Run a session in turns with everything recorded and with nothing, on several pairs of brains."""
    pairs = [
        _measure_pair(brain, threads, seconds, seed, recorded_first=number % 2 == 1, on_build=on_build)
        for number in range(repeats)
    ]
    return RecordingCost(
        added=Spread.of([pair.added for pair in pairs]),
        added_cpu=Spread.of([pair.added_cpu for pair in pairs]),
        in_loop=Spread.of([pair.in_loop for pair in pairs]),
        writer=Spread.of([pair.writer for pair in pairs]),
        spikes_per_s=pairs[0].spikes_per_s,
        bytes_per_hour=pairs[0].bytes_per_hour,
        backpressure_ms=max(pair.backpressure_ms for pair in pairs),
    )


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """What two brains came to; names as in `RecordingCost`."""

    added: float
    added_cpu: float
    in_loop: float
    writer: float
    spikes_per_s: float
    bytes_per_hour: float
    backpressure_ms: float


def _measure_pair(
    brain: str,
    threads: int | None,
    seconds: float,
    seed: int,
    *,
    recorded_first: bool,
    on_build: BuildListener | None,
) -> _Pair:
    from robobrain.body import Forelimb  # noqa: PLC0415
    from robobrain.brain.config import local_brain  # noqa: PLC0415

    with ExitStack() as stack:
        loops = {}
        for records in (True, False) if recorded_first else (False, True):
            link = local_brain(brain, threads=threads, record_spikes=records, on_progress=on_build)
            body = stack.enter_context(closing(Forelimb()))
            loop = Loop(stack.enter_context(link), body, JoystickTask(load_task()))
            loops[records] = (loop, link.kernel_pid)
        folder = Path(stack.enter_context(TemporaryDirectory())) / "run"
        with recording.create(folder, {}) as writer:
            plain, recorded = _Turns(*loops[False], seed), _Turns(*loops[True], seed, writer)
            others_s = process_time() - thread_time()
            took_s = _take_turns((plain, recorded), round(seconds * 1e3 / TURN_MS))
            writer.flush()
            writer_s = process_time() - thread_time() - others_s
        run = recording.open(folder)
        span_s = (run.span_ms[1] - run.span_ms[0]) / 1e3
        return _Pair(
            added=float(np.median(took_s[1] / took_s[0])) - 1.0,
            added_cpu=(recorded.cpu_s + writer_s) / plain.cpu_s - 1.0,
            in_loop=recorded.recorder_s / took_s[1].sum(),
            writer=writer_s / took_s[0].sum(),
            spikes_per_s=run.spike_count / span_s,
            bytes_per_hour=3600 * sum(path.stat().st_size for path in run.segments) / span_s,
            backpressure_ms=run.manifest["backpressure_ms"],
        )


def _take_turns(loops: tuple[_Turns, _Turns], turns: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the seconds [loops, turns] that each took, after a warm-up."""
    took_s = np.empty((2, turns))
    for loop in loops:
        loop.run(WARM_UP_MS)
        loop.recorder_s = loop.cpu_s = 0.0
    for turn in range(turns):
        for index in (0, 1) if turn % 2 else (1, 0):
            took_s[index, turn] = loops[index].run(WARM_UP_MS + (turn + 1) * TURN_MS)
    return took_s


def measure_store(seed: int = 1) -> StoreSpeed:
    """Write 10 million spikes, read a window of them, and open a run of 1,000 segments."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_s, commit_ms = _write_spikes(folder / "spikes", generator(seed, "benchmark"))
        middle = SPIKES / BATCHES * BATCHES / 2_000
        window_ms = _median_ms(lambda: recording.open(folder / "spikes").spikes(None, middle, middle + 1e3))
        _write_segments(folder / "segments")

        def look() -> None:
            run = recording.open(folder / "segments")
            _ = run.status, run.streams, run.commits, run.span_ms

        return StoreSpeed(write_s=write_s, commit_ms=commit_ms, window_ms=window_ms, open_ms=_median_ms(look))


def _write_spikes(folder: Path, rng: np.random.Generator) -> tuple[float, float]:
    """Return how long writing took in s and the longest commit in ms."""
    per_batch = SPIKES // BATCHES
    t_ms = np.sort(np.round(rng.uniform(0, 10.0, per_batch), 1))
    sender = rng.integers(1, 100_000, per_batch).astype(np.uint32)
    longest, began = 0.0, perf_counter()
    with recording.create(folder, {}) as writer:
        for batch in range(BATCHES):
            writer.spikes(t_ms + 10.0 * batch, sender)
            handed = perf_counter()
            writer.commit()
            longest = max(longest, perf_counter() - handed)
        writer.flush()
        took = perf_counter() - began
    return took, 1e3 * longest


def _write_segments(folder: Path) -> None:
    with recording.create(folder, {}, segment_bytes=1) as writer:
        writer.declare("x", "1", ("x",))
        for number in range(SEGMENTS):
            writer.append("x", float(number), float(number))
            writer.commit()
            writer.flush()


def _median_ms(act: Callable[[], object]) -> float:
    times = []
    for _ in range(WINDOWS):
        began = perf_counter()
        act()
        times.append(1e3 * (perf_counter() - began))
    return statistics.median(times)
