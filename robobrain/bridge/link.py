"""A brain as its user sees it: reset, step, close."""

from __future__ import annotations

import logging
import math
import operator
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from numpy.typing import ArrayLike

from robobrain.bridge.codec import (
    check_version,
    decode_description,
    decode_fault,
    decode_readings,
    decode_snapshot,
    parse,
)
from robobrain.bridge.messages import (
    PROTOCOL_VERSION,
    Description,
    Readings,
    SnapshotInfo,
    Spikes,
    exact_inputs,
)
from robobrain.bridge.pipe import PipeClosed
from robobrain.bridge.process import KernelProcess
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import BrainFault, ConfigurationError, ProtocolError, SnapshotFault

_LOGGER = logging.getLogger(__name__)
_POLL_S = 1.0
_CLOSE_GRACE_S = 2.0
_SEED_END = 2**64
_SHUTDOWN = pb.Request(shutdown=pb.Shutdown()).SerializeToString()

ProgressListener = Callable[[str, float], None]
"""Called with the phase of the building and the part of it that is done, 0 to 1."""


class BrainLink(Protocol):
    """A connection to one brain, in lock-step."""

    @property
    def description(self) -> Description:
        """What the brain is, and the order of its channels."""

    def reset(self, seed: int) -> Readings:
        """Return to the settled brain and begin an episode; the readings are those at rest."""

    def step(self, inputs: ArrayLike) -> Readings:
        """Apply ``inputs`` for one exchange period and return what came of it."""

    def collect(self) -> Spikes | None:
        """Return the spikes that no step has handed out yet; None where they are not recorded."""

    def close(self) -> None:
        """End the connection; may be called again."""


class LocalBrain:
    """A brain in a process of its own on this machine.

    Nothing of that process outlives this object, the ``with`` block around it, or this process. It is not to
    be used from several threads at once. After an interrupted call (Ctrl-C) a reset is needed.

    Attributes:
        description: What the brain is, and the order of its channels.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        start_timeout_s: float = 900.0,
        step_timeout_s: float = 60.0,
        environment: Mapping[str, str] | None = None,
        on_progress: ProgressListener | None = None,
    ) -> None:
        """Start the kernel process and wait until its network is built and settled.

        Args:
            command: Program and arguments; ``--fd N`` is appended, the number of its end of the pipe.
            start_timeout_s: Longest wait for a sign of life while the network is built.
            step_timeout_s: Longest wait for the answer to a reset or a step.
            environment: Variables of the process added to those of this one.
            on_progress: Told how far the building is.

        Raises:
            BrainFault: The process can't be started, or was lost.
            ProtocolError: It speaks another version of the protocol.
            ConfigurationError: It refused its configuration.
        """
        self._poll_s = min(_POLL_S, start_timeout_s, step_timeout_s)
        self._step_timeout_s = step_timeout_s
        self._on_progress = on_progress
        self._kernel = KernelProcess(command, environment or {}, self._poll_s)
        self._pipe = self._kernel.pipe
        self._finalizer = weakref.finalize(self, self._kernel.end, _CLOSE_GRACE_S, _SHUTDOWN)
        self._fault: str | None = None
        self._id = 0
        self._reset_id: int | None = None
        self._seq = 0
        try:
            self._take(self._describe(start_timeout_s))
        except BaseException:
            self.close()
            raise

    @property
    def kernel_pid(self) -> int:
        """Process id of the kernel, which also names its session."""
        return self._kernel.pid

    def reset(self, seed: int) -> Readings:
        """Return to the settled brain and begin an episode.

        Args:
            seed: Seed of the episode, 0 to 2**64 - 1. Equal seeds and inputs give equal spikes.

        Returns:
            Readings with ``seq`` 0, ``t_ms`` 0 and the outputs at rest.

        Raises:
            ConfigurationError: The seed is no such number.
            SnapshotFault: There is no room for another copy of the brain; the running episode goes on.
            BrainFault: The brain was lost.
        """
        request = self._request(reset=pb.Reset(seed=exact_seed(seed)))
        try:
            return self._begin(request)
        except ConfigurationError:
            self._reset_id = None
            raise

    def snapshot(self) -> int:
        """Keep the present instant of the episode, which goes on, and return its number.

        The instant holds all that the brain's future depends on, spikes in flight and random numbers
        included. Beyond the brain's limits those not used for longest are given up; restoring them fails.

        Raises:
            ConfigurationError: No episode has begun, or this brain keeps no snapshots.
            SnapshotFault: There is no room for another copy of the brain; the episode goes on.
            BrainFault: The brain or its episode was lost.
        """
        self._check_running("snapshot()")
        answer = self._about_snapshots(self._request(snapshot=pb.Snapshot()))
        if answer.evicted:
            _LOGGER.warning("snapshot %d took the place of %s", answer.taken, list(answer.evicted))
        return int(answer.taken)

    def restore(self, snapshot: int, seed: int | None = None, *, silence: Sequence[str] = ()) -> Readings:
        """Continue a kept instant in place of the running episode, if there is one.

        Args:
            snapshot: A number that ``snapshot()`` gave.
            seed: None to continue with exactly the random numbers that would have come; else their seed.
            silence: Populations, or regions as a whole, whose neurons fire no more from here on.

        Returns:
            Readings with number, time and outputs of the last step before the instant.

        Raises:
            ConfigurationError: There is no such instant, population or region.
            SnapshotFault: The instant is lost or there is no room for a copy; the running episode goes on.
            BrainFault: The brain was lost.
        """
        number = None if seed is None else exact_seed(seed)
        self.description.check_places(silence)
        restore = pb.Restore(snapshot=_exact_id(snapshot), seed=number, silence=silence)
        return self._begin(self._request(restore=restore))

    def drop(self, snapshot: int) -> None:
        """Forget a kept instant and free its memory.

        Raises:
            ConfigurationError: There is no such instant.
            BrainFault: The brain was lost.
        """
        self._about_snapshots(self._request(drop=pb.Drop(snapshot=_exact_id(snapshot))))

    def snapshots(self) -> tuple[SnapshotInfo, ...]:
        """Return the kept instants, in the order of their numbers, and the memory that each takes now.

        Raises:
            BrainFault: The brain was lost.
        """
        answer = self._about_snapshots(self._request(list_snapshots=pb.ListSnapshots()))
        return tuple(decode_snapshot(held) for held in answer.held)

    def step(self, inputs: ArrayLike) -> Readings:
        """Apply ``inputs`` for one exchange period and return the readings at its end.

        Args:
            inputs: Finite numbers, [input_size], in the order of ``description.inputs``.

        Raises:
            ConfigurationError: The inputs can't be used, or no episode has begun; nothing was sent.
            BrainFault: The brain or its episode was lost.
        """
        started = time.perf_counter()
        self._check_running("step(inputs)")
        packed = exact_inputs(inputs, self._input_size).tobytes()
        seq = self._seq + 1
        message = pb.Step(seq=seq, t_ms=self._seq * self.description.exchange_ms, inputs=packed)
        reply = self._exchange(self._request(step=message), self._step_timeout_s)
        self._seq = seq
        return self._readings(reply, seq, started)

    def configure(self, devices: str) -> Description:
        """Replace the devices that the next episodes have beside the brain's wiring; a reset must follow.

        Kept instants have the devices of before, so they are forgotten.

        Args:
            devices: JSON, as `robobrain.brain.devices.to_text` makes it; empty for none.

        Returns:
            The description from now on, with the ports and histories of the devices.

        Raises:
            ConfigurationError: The devices can't be used; those of before stay.
            BrainFault: The brain was lost.
        """
        self._check_open()
        self._reset_id = None
        request = self._request(configure=pb.Configure(devices=devices))
        reply = self._exchange(request, self._step_timeout_s)
        if not reply.HasField("description"):
            raise self._lost(ProtocolError("the answer to Configure is no Description"))
        self._take(decode_description(reply.description))
        return self.description

    def collect(self) -> Spikes | None:
        """Return the spikes that no step has handed out yet; no time passes in the brain.

        Raises:
            ConfigurationError: No episode has begun.
            BrainFault: The brain or its episode was lost.
        """
        return self.collect_all().spikes

    def collect_all(self) -> Readings:
        """Return the last readings with the spikes and samples that no step has handed out yet.

        Raises:
            ConfigurationError: No episode has begun.
            BrainFault: The brain or its episode was lost.
        """
        started = time.perf_counter()
        self._check_running("collect()")
        reply = self._exchange(self._request(collect=pb.Collect()), self._step_timeout_s)
        return self._readings(reply, self._seq, started)

    def close(self) -> None:
        """End the kernel process and wait until it is gone; may be called again."""
        self._fault = self._fault or "the brain was closed"
        self._finalizer()

    def __enter__(self) -> Self:
        """Return the brain itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _take(self, description: Description) -> None:
        self.description = description
        self._input_size, self._output_size = description.input_size, description.output_size

    def _describe(self, timeout_s: float) -> Description:
        request = self._request(describe=pb.Describe(protocol_version=PROTOCOL_VERSION))
        reply = self._exchange(request, timeout_s)
        if not reply.HasField("description"):
            raise self._lost(ProtocolError("the answer to Describe is no Description"))
        check_version(reply.description.protocol_version)
        return decode_description(reply.description)

    def _begin(self, request: pb.Request) -> Readings:
        """Have the brain begin or restore an episode; where it can't, the one that runs goes on."""
        started = time.perf_counter()
        before = self._reset_id, self._seq
        self._reset_id, self._seq = request.id, 0
        try:
            reply = self._exchange(request, self._step_timeout_s)
        except (ConfigurationError, SnapshotFault):
            self._reset_id, self._seq = before
            raise
        self._seq = int(reply.readings.seq)
        return self._readings(reply, self._seq if request.HasField("restore") else 0, started)

    def _about_snapshots(self, request: pb.Request) -> pb.Snapshots:
        reply = self._exchange(request, self._step_timeout_s)
        if not reply.HasField("snapshots"):
            raise self._lost(ProtocolError("the answer about snapshots is another message"))
        return reply.snapshots

    def _request(
        self,
        *,
        describe: pb.Describe | None = None,
        reset: pb.Reset | None = None,
        step: pb.Step | None = None,
        collect: pb.Collect | None = None,
        configure: pb.Configure | None = None,
        snapshot: pb.Snapshot | None = None,
        restore: pb.Restore | None = None,
        drop: pb.Drop | None = None,
        list_snapshots: pb.ListSnapshots | None = None,
    ) -> pb.Request:
        self._check_open()
        self._id += 1
        return pb.Request(
            id=self._id,
            describe=describe,
            reset=reset,
            step=step,
            collect=collect,
            configure=configure,
            snapshot=snapshot,
            restore=restore,
            drop=drop,
            list_snapshots=list_snapshots,
        )

    def _check_running(self, call: str) -> None:
        self._check_open()
        if self._reset_id is None:
            raise ConfigurationError(f"no episode has begun: call reset(seed) before {call}")

    def _check_open(self) -> None:
        if self._fault is not None:
            raise BrainFault(f"{self._fault}; make a new brain")

    def _exchange(self, request: pb.Request, timeout_s: float) -> pb.Reply:
        """Send ``request`` and return its answer; raises what a fault stands for."""
        try:
            self._pipe.send(request.SerializeToString())
            reply = self._answer(timeout_s)
        except (PipeClosed, ProtocolError, TimeoutError) as error:
            raise self._lost(error) from None
        except BaseException:
            self._reset_id = None
            raise
        if reply.HasField("fault"):
            raise self._fault_of(reply)
        return reply

    def _answer(self, timeout_s: float) -> pb.Reply:
        """Wait for the answer to the last request, dropping answers to earlier, interrupted ones."""
        while True:
            reply = parse(pb.Reply, self._receive(timeout_s))
            if reply.HasField("progress"):
                if self._on_progress is not None:
                    self._on_progress(reply.progress.phase, reply.progress.fraction)
            elif reply.id in (self._id, 0) or (reply.HasField("fault") and reply.id == self._reset_id):
                return reply

    def _receive(self, timeout_s: float) -> bytes:
        """Wait for a frame; polls are counted, not the clock, so a suspended client does not time out."""
        was_stopped = False
        for _ in range(math.ceil(timeout_s / self._poll_s)):
            try:
                return self._pipe.receive()
            except TimeoutError:
                is_stopped = self._kernel.is_stopped()
                if was_stopped and is_stopped:
                    raise TimeoutError("the brain's process is stopped by a signal") from None
                was_stopped = is_stopped
        raise TimeoutError(f"the brain did not answer within {timeout_s:g} s")

    def _fault_of(self, reply: pb.Reply) -> BrainFault | ConfigurationError:
        """Return the exception of a fault; ends the brain unless the fault leaves it usable."""
        error = decode_fault(reply.fault)
        if reply.fault.code == pb.FAULT_CODE_EPISODE_LOST:
            self._reset_id = None
            return BrainFault(f"{error}; reset(seed) begins a new episode{_quoted(self._kernel.log_tail())}")
        if reply.id == 0 or not isinstance(error, (ConfigurationError, SnapshotFault)):
            return self._lost(error)
        return error

    def _lost(self, error: Exception) -> BrainFault | ConfigurationError:
        """End the kernel process and return the exception that says why."""
        ended = self._kernel.end(grace_s=_POLL_S if isinstance(error, PipeClosed) else 0.0)
        if isinstance(error, PipeClosed):
            error = BrainFault(f"the brain's process ended ({ended})")
        self._fault = f"the brain was lost: {error}"
        kind = type(error) if isinstance(error, (ProtocolError, ConfigurationError)) else BrainFault
        return kind(f"{error}; make a new brain{_quoted(self._kernel.log_tail())}")

    def _readings(self, reply: pb.Reply, seq: int, started: float) -> Readings:
        if not reply.HasField("readings") or reply.readings.seq != seq:
            raise self._lost(ProtocolError(f"the answer to step {seq} is another message"))
        total_ms = 1e3 * (time.perf_counter() - started)
        try:
            return decode_readings(reply.readings, self._output_size, total_ms)
        except ProtocolError as error:
            raise self._lost(error) from None


def exact_seed(seed: int) -> int:
    """Return ``seed`` as the number that travels.

    Raises:
        ConfigurationError: It is no whole number from 0 to 2**64 - 1.
    """
    try:
        number = operator.index(seed)
    except TypeError:
        raise ConfigurationError(f"a seed is a whole number, not {seed!r}") from None
    if not 0 <= number < _SEED_END:
        raise ConfigurationError(f"seed {number} is outside 0 ... 2**64 - 1")
    return number


def _exact_id(snapshot: int) -> int:
    try:
        number = operator.index(snapshot)
    except TypeError:
        number = -1
    if not 0 < number < _SEED_END:
        raise ConfigurationError(f"there is no snapshot {snapshot!r}; snapshot() gives their numbers, from 1")
    return number


def _quoted(log: str) -> str:
    return f". The end of its log:\n{log}" if log else ""
