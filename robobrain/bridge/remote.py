"""A brain on a server, as its user sees it: the same as a local one."""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from numpy.typing import ArrayLike

from robobrain.bridge.codec import decode_description, decode_fault, decode_readings
from robobrain.bridge.instants import KeepsInstants, exact_seed
from robobrain.bridge.link import STEPS_AHEAD, ProgressListener, awaited
from robobrain.bridge.messages import Description, Readings, Spikes, exact_inputs
from robobrain.bridge.remote_session import Patience, Session
from robobrain.bridge.remote_stream import SessionGone
from robobrain.bridge.rendezvous import find_server
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import BrainFault, ConfigurationError, ProtocolError, SnapshotFault

_HARMLESS = (pb.FAULT_CODE_CONFIGURATION, pb.FAULT_CODE_PROTOCOL, pb.FAULT_CODE_SNAPSHOT)
"""Faults after which the episode goes on."""


class RemoteBrain(KeepsInstants):
    """A brain leased from a server.

    When the connection breaks it comes back by itself and goes on with the session where the server still has
    it; no step is run twice. Otherwise a :class:`BrainFault` says so, and the next reset opens another
    session. Devices and kept instants belong to the session; another session gets the same devices, instants
    are lost. It is not to be used from several threads at once. After an interrupted call (Ctrl-C) a reset is
    needed.

    Attributes:
        description: What the brain is, and the order of its channels.
        address: Where the server is.
    """

    def __init__(
        self,
        address: str,
        *,
        credentials: Path | None = None,
        client: str | None = None,
        connect_timeout_s: float = 10.0,
        start_timeout_s: float = 900.0,
        reconnect_s: float = 30.0,
        silence_s: float = 15.0,
        on_progress: ProgressListener | None = None,
    ) -> None:
        """Connect and lease a brain; waits while the server builds it.

        Args:
            address: ``host:port`` of the server, or ``@FILE`` with the rendezvous file that it wrote.
            credentials: Folder with ``ca.pem`` and ``token`` (and ``client.pem``, ``client.key``); None for
                the one that the rendezvous file names, or a server on this machine without encryption.
            client: Name shown to others while this client has the brain; None for user, host and process.
            connect_timeout_s: Longest wait for the server to answer at all.
            start_timeout_s: Longest wait for a brain that is being built.
            reconnect_s: How long a broken connection is tried again before the episode counts as lost.
            silence_s: Longest time without a sign of life of the server, which gives one every second.
            on_progress: Told how far the building is.

        Raises:
            ConfigurationError: The address or the credentials can't be used.
            ProtocolError: The server speaks another version of the protocol.
            BrainFault: No server answers, it refuses, or every brain is in use (says by whom).
        """
        self.address, proof = find_server(address, credentials)
        self._session = Session(
            self.address,
            proof,
            client or f"{getpass.getuser()}@{socket.gethostname()} (process {os.getpid()})",
            Patience(
                connect_s=connect_timeout_s,
                start_s=start_timeout_s,
                reconnect_s=reconnect_s,
                silence_s=silence_s,
            ),
            on_progress,
        )
        self._seq, self._has_episode, self._is_closed = 0, False, False
        self._began_s: deque[float] = deque()
        self._answered_s = 0.0
        self._devices = ""
        try:
            self._take(decode_description(self._session.open()))
            self._bare = self.description
        except BaseException:
            self.close()
            raise

    def reset(self, seed: int) -> Readings:
        """Return to the settled brain and begin an episode, in another session where the first was lost.

        Args:
            seed: Seed of the episode, 0 to 2**64 - 1. Equal seeds and inputs give equal spikes.

        Returns:
            Readings with ``seq`` 0, ``t_ms`` 0 and the outputs at rest.

        Raises:
            ConfigurationError: The seed is no such number.
            BrainFault: No session can be had, or the brain was lost.
        """
        return self._begin(pb.Request(reset=pb.Reset(seed=exact_seed(seed))))

    def step(self, inputs: ArrayLike) -> Readings:
        """Apply ``inputs`` for one exchange period and return the readings at its end.

        Args:
            inputs: Finite numbers, [input_size], in the order of ``description.inputs``.

        Raises:
            ConfigurationError: The inputs can't be used, or no episode has begun; nothing was sent.
            BrainFault: The brain, its episode, or the way to it was lost; ``reset`` begins another episode.
        """
        self.begin_step(inputs)
        return self.finish_step()

    def begin_step(self, inputs: ArrayLike) -> None:
        """Apply ``inputs`` and let the brain compute while the caller does something else.

        A second step can be begun before the first is finished; the brain goes from one to the other.

        Raises:
            ConfigurationError: As in `step`, or two steps are under way; nothing was sent.
        """
        started = time.perf_counter()
        self._check_running("step(inputs)", STEPS_AHEAD)
        packed = exact_inputs(inputs, self._input_size).tobytes()
        done = self._seq + len(self._began_s)
        step = pb.Step(seq=done + 1, t_ms=done * self.description.exchange_ms, inputs=packed)
        self._session.begin(pb.Request(step=step))
        self._began_s.append(started)

    def finish_step(self) -> Readings:
        """Wait for the end of the first step that was begun and not finished, and return its readings.

        ``times.wire_ms`` counts from its beginning, or the end of the one before; so it has whatever the
        caller did for longer than the brain computed.

        Raises:
            ConfigurationError: No step is under way, or its inputs can't be used.
            BrainFault: The brain, its episode, or the way to it was lost; ``reset`` begins another episode.
        """
        if not self._began_s:
            raise ConfigurationError("no step is under way: call begin_step(inputs) first")
        began_s = self._began_s.popleft()
        reply = self._answered(self._session.finish)
        self._seq += 1
        readings = self._readings(reply, self._seq, max(began_s, self._answered_s))
        self._answered_s = time.perf_counter()
        return awaited(readings)

    def configure(self, devices: str) -> Description:
        """Replace the devices that the next episodes have beside the brain's wiring; a reset must follow.

        Kept instants have the devices of before, so they are forgotten. The next session on that brain does
        not have these devices.

        Args:
            devices: JSON, as `robobrain.brain.devices.to_text` makes it; empty for none.

        Returns:
            The description from now on, with the ports and histories of the devices.

        Raises:
            ConfigurationError: The devices can't be used, or are more than the server takes; those of before
                stay.
            BrainFault: No session can be had, or the brain was lost.
        """
        self._check_open()
        self._end_episode()
        reply = self._exchange_anew(pb.Request(configure=pb.Configure(devices=devices)))
        self._take(self._described(reply))
        self._devices = devices
        return self.description

    def collect(self) -> Spikes | None:
        """Return the spikes that no step has handed out yet; no time passes in the brain.

        Raises:
            ConfigurationError: No episode has begun.
            BrainFault: The brain, its episode, or the way to it was lost.
        """
        return self.collect_all().spikes

    def collect_all(self) -> Readings:
        """Return the last readings with the spikes and samples that no step has handed out yet.

        Raises:
            ConfigurationError: No episode has begun.
            BrainFault: The brain, its episode, or the way to it was lost.
        """
        started = time.perf_counter()
        self._check_running("collect()")
        reply = self._exchange(pb.Request(collect=pb.Collect()))
        return self._readings(reply, self._seq, started)

    def close(self) -> None:
        """Give the brain back; may be called again."""
        if self._is_closed:
            return
        self._is_closed = True
        self._session.close()

    def __enter__(self) -> Self:
        """Return the brain itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _reopen(self) -> None:
        """Open another session, with the devices of the one before."""
        found = decode_description(self._session.open())
        if (found.identity, found.inputs, found.outputs) != (
            self._bare.identity,
            self._bare.inputs,
            self._bare.outputs,
        ):
            self.close()
            raise BrainFault(f"the server at {self.address} serves another brain now; connect again")
        if self._devices:
            configure = pb.Configure(devices=self._devices)
            self._take(self._described(self._exchange(pb.Request(configure=configure))))

    def _take(self, description: Description) -> None:
        self.description = description
        self._input_size, self._output_size = description.input_size, description.output_size

    def _described(self, reply: pb.Reply) -> Description:
        if not reply.HasField("description"):
            raise ProtocolError("the answer to Configure is no Description")
        return decode_description(reply.description)

    def _begin(self, request: pb.Request) -> Readings:
        """Have the brain begin or restore an episode; where it can't restore, the one that runs goes on."""
        started = time.perf_counter()
        self._check_open()
        before = self._seq, self._has_episode
        self._seq = 0
        self._end_episode()
        is_restore = request.HasField("restore")
        try:
            reply = self._exchange(request) if is_restore else self._exchange_anew(request)
        except (ConfigurationError, SnapshotFault):
            if is_restore:
                self._seq, self._has_episode = before
            raise
        self._has_episode = True
        self._seq = int(reply.readings.seq) if is_restore else 0
        return self._readings(reply, self._seq, started)

    def _ask_about_instants(self, request: pb.Request) -> pb.Snapshots:
        self._check_idle("this")
        reply = self._exchange(request)
        if not reply.HasField("snapshots"):
            raise ProtocolError("the answer about snapshots is another message")
        return reply.snapshots

    def _exchange_anew(self, request: pb.Request) -> pb.Reply:
        """Send ``request``, in another session where the present one is lost."""
        if not self._session.is_open:
            self._reopen()
        try:
            return self._exchange(request)
        except SessionGone:
            self._reopen()
            return self._exchange(request)

    def _exchange(self, request: pb.Request) -> pb.Reply:
        return self._answered(lambda: self._session.exchange(request))

    def _answered(self, call: Callable[[], pb.Reply]) -> pb.Reply:
        """Return the reply that ``call`` gets; raises what a fault stands for."""
        try:
            reply = call()
        except BaseException:
            self._has_episode = False
            raise
        if reply.HasField("fault"):
            raise self._fault_of(reply)
        return reply

    def _end_episode(self) -> None:
        self._has_episode = False
        self._began_s.clear()
        self._session.forget_begun()

    def _fault_of(self, reply: pb.Reply) -> BrainFault | ConfigurationError:
        if reply.fault.code not in _HARMLESS:
            self._has_episode = False
        return decode_fault(reply.fault)

    def _readings(self, reply: pb.Reply, seq: int, started: float) -> Readings:
        if not reply.HasField("readings") or reply.readings.seq != seq:
            self._has_episode = False
            raise ProtocolError(f"the answer to step {seq} is another message")
        total_ms = 1e3 * (time.perf_counter() - started)
        return decode_readings(reply.readings, self._output_size, total_ms)

    def _check_open(self) -> None:
        if self._is_closed:
            raise BrainFault("the brain was closed; make a new one")

    def _check_running(self, call: str, steps: int = 1) -> None:
        self._check_open()
        if not self._has_episode:
            raise ConfigurationError(f"no episode has begun: call reset(seed) before {call}")
        self._check_idle(call, steps)

    def _check_idle(self, call: str, steps: int = 1) -> None:
        self._check_open()
        if len(self._began_s) >= steps:
            raise ConfigurationError(f"a step is under way: call finish_step() before {call}")
