"""A brain as its user sees it: reset, step, close."""

from __future__ import annotations

import math
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

from numpy.typing import ArrayLike

from robobrain.bridge.codec import (
    check_version,
    decode_description,
    decode_fault,
    decode_readings,
    parse,
)
from robobrain.bridge.instants import KeepsInstants, exact_seed
from robobrain.bridge.messages import PROTOCOL_VERSION, Description, Readings, Spikes, exact_inputs
from robobrain.bridge.pipe import PipeClosed
from robobrain.bridge.process import KernelProcess
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import BrainFault, ConfigurationError, ProtocolError, SnapshotFault

_POLL_S = 1.0
_CLOSE_GRACE_S = 2.0
_SHUTDOWN = pb.Request(shutdown=pb.Shutdown()).SerializeToString()

STEPS_AHEAD = 2
"""Steps that can be under way at once."""

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

    def collect_all(self) -> Readings:
        """Return the last readings with the spikes and samples that no step has handed out yet."""

    def close(self) -> None:
        """End the connection; may be called again."""


class LocalBrain(KeepsInstants):
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
        self._under_way: deque[tuple[int, float]] = deque()
        self._answered_s = 0.0
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
        request = pb.Request(reset=pb.Reset(seed=exact_seed(seed)))
        try:
            return self._begin(request)
        except ConfigurationError:
            self._reset_id = None
            raise

    def step(self, inputs: ArrayLike) -> Readings:
        """Apply ``inputs`` for one exchange period and return the readings at its end.

        Args:
            inputs: Finite numbers, [input_size], in the order of ``description.inputs``.

        Raises:
            ConfigurationError: The inputs can't be used, or no episode has begun; nothing was sent.
            BrainFault: The brain or its episode was lost.
        """
        self.begin_step(inputs)
        return self.finish_step()

    def begin_step(self, inputs: ArrayLike) -> None:
        """Apply ``inputs`` and let the brain compute while the caller does something else.

        A second step can be begun before the first is finished; the brain goes from one to the other.

        Raises:
            ConfigurationError: As in `step`, or two steps are under way; nothing was sent.
            BrainFault: The brain was lost.
        """
        started = time.perf_counter()
        self._check_running("step(inputs)", STEPS_AHEAD)
        packed = exact_inputs(inputs, self._input_size).tobytes()
        done = self._seq + len(self._under_way)
        message = pb.Step(seq=done + 1, t_ms=done * self.description.exchange_ms, inputs=packed)
        self._send(pb.Request(step=message))
        self._under_way.append((self._id, started))

    def finish_step(self) -> Readings:
        """Wait for the end of the first step that was begun and not finished, and return its readings.

        ``times.wire_ms`` counts from its beginning, or the end of the one before; so it has whatever the
        caller did for longer than the brain computed.

        Raises:
            ConfigurationError: No step is under way, or its inputs can't be used.
            BrainFault: The brain or its episode was lost.
        """
        self._check_open()
        if not self._under_way:
            raise ConfigurationError("no step is under way: call begin_step(inputs) first")
        asked, began = self._under_way.popleft()
        reply = self._answered(self._step_timeout_s, asked)
        self._seq += 1
        readings = self._readings(reply, self._seq, max(began, self._answered_s))
        self._answered_s = time.perf_counter()
        return awaited(readings)

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
        request = pb.Request(configure=pb.Configure(devices=devices))
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
        reply = self._exchange(pb.Request(collect=pb.Collect()), self._step_timeout_s)
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
        request = pb.Request(describe=pb.Describe(protocol_version=PROTOCOL_VERSION))
        reply = self._exchange(request, timeout_s)
        if not reply.HasField("description"):
            raise self._lost(ProtocolError("the answer to Describe is no Description"))
        check_version(reply.description.protocol_version)
        return decode_description(reply.description)

    def _begin(self, request: pb.Request) -> Readings:
        """Have the brain begin or restore an episode; where it can't, the one that runs goes on."""
        started = time.perf_counter()
        before = self._reset_id, self._seq
        self._reset_id, self._seq = self._id + 1, 0
        try:
            reply = self._exchange(request, self._step_timeout_s)
        except (ConfigurationError, SnapshotFault):
            self._reset_id, self._seq = before
            raise
        self._seq = int(reply.readings.seq)
        return self._readings(reply, self._seq if request.HasField("restore") else 0, started)

    def _ask_about_instants(self, request: pb.Request) -> pb.Snapshots:
        self._check_idle("this")
        reply = self._exchange(request, self._step_timeout_s)
        if not reply.HasField("snapshots"):
            raise self._lost(ProtocolError("the answer about snapshots is another message"))
        return reply.snapshots

    def _check_running(self, call: str, steps: int = 1) -> None:
        self._check_open()
        if self._reset_id is None:
            raise ConfigurationError(f"no episode has begun: call reset(seed) before {call}")
        self._check_idle(call, steps)

    def _check_idle(self, call: str, steps: int = 1) -> None:
        self._check_open()
        if len(self._under_way) >= steps:
            raise ConfigurationError(f"a step is under way: call finish_step() before {call}")

    def _check_open(self) -> None:
        if self._fault is not None:
            raise BrainFault(f"{self._fault}; start a new brain")

    def _exchange(self, request: pb.Request, timeout_s: float) -> pb.Reply:
        """Send ``request`` and return its answer; raises what a fault stands for."""
        self._under_way.clear()  # their answers are dropped
        self._send(request)
        return self._answered(timeout_s, self._id)

    def _send(self, request: pb.Request) -> None:
        """Send ``request`` under the next number."""
        self._check_open()
        self._id += 1
        request.id = self._id
        try:
            self._pipe.send(request.SerializeToString())
        except (PipeClosed, ProtocolError, TimeoutError) as error:
            raise self._lost(error) from None
        except BaseException:
            self._reset_id = None
            raise

    def _answered(self, timeout_s: float, asked: int) -> pb.Reply:
        """Return the answer to request ``asked``; raises what a fault stands for."""
        try:
            reply = self._answer(timeout_s, asked)
        except (PipeClosed, ProtocolError, TimeoutError) as error:
            raise self._lost(error) from None
        except BaseException:
            self._reset_id = None
            raise
        if reply.HasField("fault"):
            raise self._fault_of(reply)
        return reply

    def _answer(self, timeout_s: float, asked: int) -> pb.Reply:
        """Wait for the answer to request ``asked``, dropping answers to earlier, interrupted ones."""
        while True:
            reply = parse(pb.Reply, self._receive(timeout_s))
            if reply.HasField("progress"):
                if self._on_progress is not None:
                    self._on_progress(reply.progress.phase, reply.progress.fraction)
            elif reply.id in (asked, 0) or (reply.HasField("fault") and reply.id == self._reset_id):
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
        return kind(f"{error}; start a new brain{_quoted(self._kernel.log_tail())}")

    def _readings(self, reply: pb.Reply, seq: int, started: float) -> Readings:
        if not reply.HasField("readings") or reply.readings.seq != seq:
            raise self._lost(ProtocolError(f"the answer to step {seq} is another message"))
        total_ms = 1e3 * (time.perf_counter() - started)
        try:
            return decode_readings(reply.readings, self._output_size, total_ms)
        except ProtocolError as error:
            raise self._lost(error) from None


def awaited(readings: Readings) -> Readings:
    """Return readings without a negative time on the wire, which those have that were waiting to be read."""
    if readings.times.wire_ms >= 0.0:
        return readings
    return replace(readings, times=replace(readings.times, wire_ms=0.0))


def _quoted(log: str) -> str:
    return f". The end of its log:\n{log}" if log else ""
