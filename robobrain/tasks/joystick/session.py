"""A session: trials in one continuous closed loop, stimulated by a protocol and recorded."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter

from robobrain.errors import ConfigurationError
from robobrain.recording import RunWriter
from robobrain.seeding import generator
from robobrain.tasks.joystick.loop import Frame, Loop
from robobrain.tasks.joystick.protocol import StimulationProtocol, Stimulator
from robobrain.tasks.joystick.rig import PhaseTimes
from robobrain.tasks.joystick.streams import Recorder
from robobrain.tasks.joystick.trial import TrialResult

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SessionSummary:
    """What a session came to, or has come to so far.

    Attributes:
        status: ``running`` while it goes on; ``complete``, ``interrupted`` or ``failed``, as its record says.
        trials: Trials that ended.
        attempts: Those in which the start line was crossed.
        successes: Those that were rewarded.
        last_trial: The trial that ended last.
        begin_ms: Time of the loop from which on it counts.
        model_ms: Time that passed in the model.
        wall_ms: Time that the loop took.
        times: Its parts. What remains of ``wall_ms`` is recording and the caller's own.
    """

    status: str = "running"
    trials: int = 0
    attempts: int = 0
    successes: int = 0
    last_trial: TrialResult | None = None
    begin_ms: float = 0.0
    model_ms: float = 0.0
    wall_ms: float = 0.0
    times: PhaseTimes = field(default_factory=PhaseTimes)

    @property
    def real_time_factor(self) -> float:
        """Wall time over model time: below 1 is faster than real time."""
        return self.wall_ms / self.model_ms if self.model_ms else 0.0

    @property
    def shares(self) -> dict[str, float]:
        """Share of the wall time of brain, body, exchange and task, what of it overlaps, and the rest."""
        parts = {name.removesuffix("_ms"): value for name, value in self.times._asdict().items()}
        parts["rest"] = max(self.wall_ms - self.times.whole_ms, 0.0)
        whole = max(self.wall_ms, self.times.whole_ms) or 1.0
        return {name: value / whole for name, value in parts.items()}

    def after(self, frame: Frame, wall_ms: float) -> SessionSummary:
        """Return the summary with one more frame."""
        trial, times = frame.trial, frame.times
        return replace(
            self,
            trials=self.trials + (trial is not None),
            attempts=self.attempts + (trial is not None and trial.attempted),
            successes=self.successes + (trial is not None and trial.reward > 0.0),
            last_trial=self.last_trial if trial is None else trial,
            model_ms=frame.t_ms - self.begin_ms,
            wall_ms=wall_ms,
            times=PhaseTimes(*(sum(pair) for pair in zip(self.times, times, strict=True))),
        )


FrameListener = Callable[[Frame, SessionSummary], None]
"""Called after each exchange with its frame and the session so far."""


def run_session(
    loop: Loop,
    protocol: StimulationProtocol,
    *,
    trials: int,
    seed: int,
    writer: RunWriter | None = None,
    on_frame: FrameListener | None = None,
) -> SessionSummary:
    """Run ``trials`` trials without a break: brain and body go on between them.

    Ctrl-C ends the session after the exchange that runs and keeps what came before; the writer is closed in
    every case, with the status that fits (``complete``, ``interrupted``, ``failed``).

    Args:
        loop: Brain, body and task; it is reset first.
        protocol: What to stimulate at each cue.
        trials: Number of trials, at least 1.
        seed: Root of all random draws.
        writer: Where to record; None to record nothing.
        on_frame: Told about each exchange.

    Raises:
        ConfigurationError: ``trials`` is below 1.
        BrainFault: The brain is lost.
        BodyFault: The physics diverged.
        RecordingError: The run can't be written.
    """
    if trials < 1:
        raise ConfigurationError(f"A session needs at least one trial, got {trials}.")
    listeners = [] if on_frame is None else [on_frame]
    if writer is None:
        return _run(loop, protocol, trials, seed, listeners)
    status, error = "failed", ""
    try:
        recorder = Recorder(writer, loop.brain.description)
        try:
            summary = _run(loop, protocol, trials, seed, [recorder.add, *listeners])
        finally:
            recorder.flush()
        recorder.finish(loop.collect())
        status = summary.status
        return summary
    except Exception as fault:
        error = str(fault)
        raise
    finally:
        writer.close(status, error)


def _run(
    loop: Loop, protocol: StimulationProtocol, trials: int, seed: int, listeners: Sequence[FrameListener]
) -> SessionSummary:
    summary = SessionSummary()
    frame = loop.reset(seed)
    stimulator = Stimulator(protocol, loop.brain.description.exchange_ms, generator(seed, "stimulation"))
    began = perf_counter()
    with interrupt_between_exchanges() as interrupted:
        while summary.trials < trials:
            if interrupted():
                logger.info("Interrupted after %d of %d trials.", summary.trials, trials)
                return replace(summary, status="interrupted")
            frame = loop.step(stimulator.next(frame))
            summary = summary.after(frame, 1000.0 * (perf_counter() - began))
            for listener in listeners:
                listener(frame, summary)
    return replace(summary, status="complete")


@contextmanager
def interrupt_between_exchanges() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C or TERM take effect between two exchanges, so that none is cut in half.

    A second one acts at once. TERM is what batch systems and containers send before they kill.

    Yields:
        Whether one of them came. Outside the main thread, which alone gets signals, none ever does.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(*_: object) -> None:
        asked.set()
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        restore()
