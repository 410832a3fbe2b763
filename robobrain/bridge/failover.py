"""A brain that survives the loss of its process: a spare replays the journal and takes over."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robobrain.bridge.link import LocalBrain, ProgressListener
from robobrain.bridge.messages import Description, Readings, Spikes, exact_inputs, readings_digest
from robobrain.errors import BrainFault, ConfigurationError

_LOGGER = logging.getLogger(__name__)

StartBrain = Callable[[ProgressListener], LocalBrain]
"""Starts a brain, and tells the listener how far its building is."""


class _Closed(Exception):
    pass


class FailoverBrain:
    """A brain with spares: what is lost of it is replaced, and the session goes on as if nothing had been.

    The inputs of the episode are kept in memory. When the brain is lost, a spare with the same settled state
    is given them again, each answer is compared with the one before, and the call that failed is repeated on
    it. A brain that lost only its episode's process recovers by itself in the same way. Used as `LocalBrain`.

    Attributes:
        takeovers: How often a lost brain or episode was replaced.
    """

    def __init__(
        self, start: StartBrain, *, spares: int = 1, on_progress: ProgressListener | None = None
    ) -> None:
        """Start the brain, and its spares in the background.

        Args:
            start: Starts a brain; every call must give an equal one.
            spares: Number of brains that are kept ready besides the one that runs.
            on_progress: Told how far the building of the first brain is, and the replay on a spare.

        Raises:
            ConfigurationError: ``spares`` is negative, or the brain refused its configuration.
            BrainFault: The brain can't be started.
        """
        if spares < 0:
            raise ConfigurationError(f"spares is {spares}; use 0 or more.")
        self._start = start
        self._report = on_progress or (lambda phase, fraction: None)
        self._closing = threading.Event()
        self.takeovers = 0
        self._seed = 0
        self._journal: list[tuple[NDArray[np.float32] | None, bytes]] = []
        self._under_way: deque[NDArray[np.float32]] = deque()
        self._brain = start(self._report)
        self._spares = [self._start_spare() for _ in range(spares)]

    @property
    def description(self) -> Description:
        """What the brain is, and the order of its channels."""
        return self._brain.description

    @property
    def kernel_pid(self) -> int:
        """Process id of the kernel that runs now."""
        return self._brain.kernel_pid

    def reset(self, seed: int) -> Readings:
        """Return to the settled brain and begin an episode, on a spare if the brain is lost."""
        self._seed, self._journal = seed, []
        self._under_way.clear()
        try:
            return self._brain.reset(seed)
        except ConfigurationError:
            raise
        except BrainFault as fault:
            self._recover(fault)
            return self._brain.reset(seed)

    def step(self, inputs: ArrayLike) -> Readings:
        """Apply ``inputs`` for one exchange period and return the readings at its end."""
        self.begin_step(inputs)
        return self.finish_step()

    def begin_step(self, inputs: ArrayLike) -> None:
        """Apply ``inputs`` and let the brain compute while the caller does something else."""
        packed = exact_inputs(inputs, self.description.input_size).copy()
        try:
            self._brain.begin_step(packed)
        except ConfigurationError:
            raise
        except BrainFault as fault:
            _LOGGER.debug("found out when the step is finished: %s", fault)
        self._under_way.append(packed)

    def finish_step(self) -> Readings:
        """Wait for the end of the first step that was begun and not finished, and return its readings."""
        if not self._under_way:
            raise ConfigurationError("no step is under way: call begin_step(inputs) first")
        packed = self._under_way.popleft()

        def again(brain: LocalBrain) -> Readings:
            readings = brain.step(packed)
            for later in self._under_way:
                brain.begin_step(later)
            return readings

        return self._perform(packed, LocalBrain.finish_step, again)

    def collect(self) -> Spikes | None:
        """Return the spikes that no step has handed out yet; no time passes in the brain."""
        return self.collect_all().spikes

    def collect_all(self) -> Readings:
        """Return the last readings with the spikes and samples that no step has handed out yet."""
        return self._perform(None, LocalBrain.collect_all, LocalBrain.collect_all)

    def close(self) -> None:
        """End the brain and its spares, and wait until they are gone; may be called again."""
        self._closing.set()
        self._brain.close()
        spares, self._spares = self._spares, []
        for spare in spares:
            if spare.exception() is None:
                spare.result().close()

    def __enter__(self) -> Self:
        """Return the brain itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _perform(
        self,
        inputs: NDArray[np.float32] | None,
        call: Callable[[LocalBrain], Readings],
        again: Callable[[LocalBrain], Readings],
    ) -> Readings:
        """Return what ``call`` gives; where the brain is lost, what ``again`` gives on another one."""
        try:
            readings = call(self._brain)
        except ConfigurationError:
            raise
        except BrainFault as fault:
            self._recover(fault)
            readings = again(self._brain)  # what fails twice at the same place is no accident
        self._journal.append((inputs, readings_digest(readings)))
        return readings

    def _recover(self, fault: BrainFault) -> None:
        """Bring a brain to where the lost one was; raises ``fault`` where none is left.

        Raises:
            BrainFault: No spare is left, or a replay came to other readings.
        """
        _LOGGER.warning("%s", fault)
        self.takeovers += 1
        while True:
            try:
                self._replay()
                return
            except _Differs as error:
                raise BrainFault(str(error)) from fault
            except BrainFault:
                self._brain.close()
            if not self._spares:
                raise BrainFault(f"{fault} (no spare is left)") from fault
            self._report("failover: wait for the spare", 0.0)
            self._brain = self._spares.pop(0).result()
            self._spares.append(self._start_spare())

    def _replay(self) -> None:
        """Repeat the episode on the present brain up to the last answer."""
        self._brain.reset(self._seed)
        for done, (inputs, digest) in enumerate(self._journal, start=1):
            readings = self._brain.collect_all() if inputs is None else self._brain.step(inputs)
            if readings_digest(readings) != digest:
                raise _Differs(f"the replay after the loss differs from call {done} of the episode on")
            if done % 100 == 0:
                self._report("failover: replay", done / len(self._journal))

    def _start_spare(self) -> Future[LocalBrain]:
        spare: Future[LocalBrain] = Future()

        def give_up_when_closing(phase: str, fraction: float) -> None:
            if self._closing.is_set():
                raise _Closed

        def build() -> None:
            try:
                spare.set_result(self._start(give_up_when_closing))
            except BaseException as error:
                spare.set_exception(error)

        threading.Thread(target=build, name="spare-brain", daemon=True).start()
        return spare


class _Differs(BrainFault):
    """A replay came to other readings."""
