"""What recording costs, as ``robobrain bench recording`` prints it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time, thread_time
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from robobrain import recording
from robobrain.brain.quiet import QUIET
from robobrain.recording import RunWriter
from robobrain.seeding import generator
from robobrain.tasks.joystick.benchmark import BuildListener
from robobrain.tasks.joystick.loop import Loop
from robobrain.tasks.joystick.protocol import Stimulator, load_protocol
from robobrain.tasks.joystick.specification import load_task
from robobrain.tasks.joystick.streams import Recorder
from robobrain.tasks.joystick.trial import JoystickTask

if TYPE_CHECKING:
    from robobrain.bridge.link import BrainLink, LocalBrain
    from robobrain.bridge.messages import Readings

EPISODE_WARM_UP_MS = 300.0
"""Left out at the beginning of an episode."""
TURN_MS = 200.0
"""The two loops take turns of this much model time, so that both see the same machine. Chunks of frames and
spikes end in the middle of a turn, so that their writing falls into the turn of the loop that wrote them."""
SPIKES, BATCHES = 10_000_000, 10_000
SEGMENTS = 1000
WINDOWS = 9


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Mean of some measurements and its standard error."""

    mean: float
    error: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the estimate from at least two values."""
        return cls(mean=statistics.mean(values), error=statistics.stdev(values) / len(values) ** 0.5)


@dataclass(frozen=True, kw_only=True)
class RecordingCost:
    """A loop that is recorded beside one that is not: the same episodes, in turns, on two brains.

    Where the memory of a process happens to lie makes equal brains differ by some percent, so the brains
    change places: each episode is run twice, recorded on the one and then on the other.

    Attributes:
        added: Wall time that recording adds, relative to the loop without.
        added_cpu: CPU time that it adds in environment, kernel and writer together, relative to the loop
            without.
        in_loop: Part of the recorded loop's wall time that is spent in its recorder.
        writer: CPU time of the writing thread, relative to the wall time of the loop without.
        spikes_per_s: Spikes recorded per second of model time.
        bytes_per_hour: Growth of the store per hour of model time.
        backpressure_ms: How long the loop waited for the disk in an episode, at most.
    """

    added: Estimate
    added_cpu: Estimate
    in_loop: Estimate
    writer: Estimate
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
    """An episode that is run for a while whenever it is its turn."""

    def __init__(self, loop: Loop, kernel: int, seed: int, writer: RunWriter | None = None) -> None:
        self._loop, self._kernel = loop, kernel
        description = loop.brain.description
        self._recorder = None if writer is None else Recorder(writer, description)
        self._stimulator = Stimulator(
            load_protocol(), description.exchange_ms, generator(seed, "stimulation")
        )
        self._frame = loop.reset(seed)
        self.wall_s = self.recorder_s = self.cpu_s = 0.0
        self.run(EPISODE_WARM_UP_MS)
        self.wall_s = self.recorder_s = self.cpu_s = 0.0

    def run(self, run_ms: float) -> None:
        """Go on for a while and count the time it takes."""
        began, cpu_s = perf_counter(), thread_time() + _group_cpu_s(self._kernel)
        until_ms = self._frame.t_ms + run_ms
        while self._frame.t_ms < until_ms:
            self._frame = self._loop.step(self._stimulator.next(self._frame))
            if self._recorder is not None:
                handed = perf_counter()
                self._recorder.add(self._frame)
                self.recorder_s += perf_counter() - handed
        self.cpu_s += thread_time() + _group_cpu_s(self._kernel) - cpu_s
        self.wall_s += perf_counter() - began


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
    episodes: int,
    on_build: BuildListener | None = None,
) -> RecordingCost:
    """Run ``episodes`` (two or more) of ``seconds`` each, in turns with everything recorded and nothing.

    Raises:
        ConfigurationError: Packed neurons are not compiled: NEST's own can't stop being recorded.
    """
    with ExitStack() as stack:
        one, other = (stack.enter_context(_loop(brain, threads, on_build)) for _ in range(2))
        measured = [_measure_episode((one, other), seconds, seed + number) for number in range(episodes)]
    return RecordingCost(
        added=Estimate.of([one.added for one in measured]),
        added_cpu=Estimate.of([one.added_cpu for one in measured]),
        in_loop=Estimate.of([one.in_loop for one in measured]),
        writer=Estimate.of([one.writer for one in measured]),
        spikes_per_s=statistics.mean(one.spikes_per_s for one in measured),
        bytes_per_hour=statistics.mean(one.bytes_per_hour for one in measured),
        backpressure_ms=max(one.backpressure_ms for one in measured),
    )


class _Switched:
    """A brain whose episodes are recorded or not, as is said before their reset."""

    def __init__(self, brain: LocalBrain) -> None:
        self._brain = brain
        self.records = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._brain, name)

    def reset(self, seed: int) -> Readings:
        return self._brain.reset(seed if self.records else seed + QUIET)


@dataclass(frozen=True)
class _SwitchedLoop:
    """A loop, its brain, and the process of that."""

    loop: Loop
    brain: _Switched
    kernel: int


@contextmanager
def _loop(brain: str, threads: int | None, on_build: BuildListener | None) -> Iterator[_SwitchedLoop]:
    """Build a brain and yield its loop."""
    from robobrain.body import Forelimb  # noqa: PLC0415
    from robobrain.brain.config import kernel_config  # noqa: PLC0415
    from robobrain.brain.kernel import kernel_command  # noqa: PLC0415
    from robobrain.bridge.link import LocalBrain  # noqa: PLC0415

    config = kernel_config(brain, threads=threads, record_spikes=True, neurons="packed")
    command = kernel_command(asdict(config), model="robobrain.brain.quiet:SometimesQuietBrain")
    with LocalBrain(command, on_progress=on_build) as link, closing(Forelimb()) as body:
        switched = _Switched(link)
        loop = Loop(cast("BrainLink", switched), body, JoystickTask(load_task()))
        yield _SwitchedLoop(loop, switched, link.kernel_pid)


@dataclass(frozen=True, kw_only=True)
class _Episode:
    """What an episode came to; names as in `RecordingCost`."""

    added: float
    added_cpu: float
    in_loop: float
    writer: float
    spikes_per_s: float
    bytes_per_hour: float
    backpressure_ms: float


def _measure_episode(brains: tuple[_SwitchedLoop, _SwitchedLoop], seconds: float, seed: int) -> _Episode:
    one, other = brains
    halves = [
        _measure_half(one, other, seconds, seed, recorded_first=True),
        _measure_half(other, one, seconds, seed, recorded_first=False),
    ]
    plain_s, recorded_s = (
        sum(getattr(half, name).wall_s for half in halves) for name in ("plain", "recorded")
    )
    cpu_s = sum(half.recorded.cpu_s + half.writer_s for half in halves)
    return _Episode(
        added=recorded_s / plain_s - 1.0,
        added_cpu=cpu_s / sum(half.plain.cpu_s for half in halves) - 1.0,
        in_loop=sum(half.recorded.recorder_s for half in halves) / recorded_s,
        writer=sum(half.writer_s for half in halves) / plain_s,
        spikes_per_s=statistics.mean(half.spikes_per_s for half in halves),
        bytes_per_hour=statistics.mean(half.bytes_per_hour for half in halves),
        backpressure_ms=max(half.backpressure_ms for half in halves),
    )


@dataclass(frozen=True, kw_only=True)
class _Half:
    """An episode without recording on one brain and with it on the other."""

    plain: _Turns
    recorded: _Turns
    writer_s: float
    spikes_per_s: float
    bytes_per_hour: float
    backpressure_ms: float


def _measure_half(
    without: _SwitchedLoop,
    with_recorder: _SwitchedLoop,
    seconds: float,
    seed: int,
    *,
    recorded_first: bool,
) -> _Half:
    without.brain.records, with_recorder.brain.records = False, True
    with TemporaryDirectory() as name:
        folder = Path(name) / "run"
        with recording.create(folder, {}) as writer:
            plain = _Turns(without.loop, without.kernel, seed)
            recorded = _Turns(with_recorder.loop, with_recorder.kernel, seed, writer)
            others_s = process_time() - thread_time()
            for turn in range(round(seconds * 1e3 / TURN_MS)):
                for loop in (recorded, plain) if recorded_first == (turn % 2 == 0) else (plain, recorded):
                    loop.run(TURN_MS)
            writer_s = process_time() - thread_time() - others_s
        run = recording.open(folder)
        span_s = (run.span_ms[1] - run.span_ms[0]) / 1e3
        return _Half(
            plain=plain,
            recorded=recorded,
            writer_s=writer_s,
            spikes_per_s=run.spike_count / span_s,
            bytes_per_hour=3600 * sum(path.stat().st_size for path in run.segments) / span_s,
            backpressure_ms=run.manifest["backpressure_ms"],
        )


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
