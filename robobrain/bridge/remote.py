"""A brain on a server, as its user sees it: the same as a local one."""

from __future__ import annotations

import getpass
import logging
import os
import socket
import time
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import grpc
from numpy.typing import ArrayLike

from robobrain.bridge.codec import check_version, decode_description, decode_fault, decode_readings
from robobrain.bridge.instants import KeepsInstants, exact_seed
from robobrain.bridge.link import STEPS_AHEAD, ProgressListener, awaited
from robobrain.bridge.messages import (
    BEING_BUILT,
    PROTOCOL_VERSION,
    SESSION_KEY,
    Description,
    Readings,
    Spikes,
    exact_inputs,
)
from robobrain.bridge.remote_stream import (
    ExchangeStream,
    SessionGone,
    authorization,
    failure_of,
    is_transient,
    open_channel,
    pauses_s,
    reason,
)
from robobrain.bridge.rendezvous import find_server
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.bridge.v1 import service_pb2 as spb
from robobrain.bridge.v1.service_pb2_grpc import BrainStub
from robobrain.errors import BrainFault, ConfigurationError, ProtocolError, SnapshotFault

_LOGGER = logging.getLogger(__name__)
_CALL_TIMEOUT_S = 10.0
_HARMLESS = (pb.FAULT_CODE_CONFIGURATION, pb.FAULT_CODE_PROTOCOL, pb.FAULT_CODE_SNAPSHOT)
"""Faults after which the episode goes on."""

Answer = TypeVar("Answer")


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
        self._authorization = authorization(proof)
        self._client = client or f"{getpass.getuser()}@{socket.gethostname()} (process {os.getpid()})"
        self._connect_timeout_s, self._start_timeout_s = connect_timeout_s, start_timeout_s
        self._reconnect_s, self._silence_s = reconnect_s, silence_s
        self._on_progress = on_progress
        self._channel = open_channel(self.address, proof)
        weakref.finalize(self, self._channel.close)  # a forgotten brain is free after its lease
        self._stub = BrainStub(self._channel)  # type: ignore[no-untyped-call]
        self._stream: ExchangeStream | None = None
        self._session: str | None = None
        self._id, self._seq, self._has_episode, self._is_closed = 0, 0, False, False
        self._under_way: deque[tuple[pb.Request, float]] = deque()
        self._answered_s = 0.0
        self._devices = ""
        try:
            self._take(decode_description(self._open()))
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
        done = self._seq + len(self._under_way)
        step = pb.Step(seq=done + 1, t_ms=done * self.description.exchange_ms, inputs=packed)
        request = self._numbered(pb.Request(step=step))
        self._open_stream().send(request)
        self._under_way.append((request, started))

    def finish_step(self) -> Readings:
        """Wait for the end of the first step that was begun and not finished, and return its readings.

        ``times.wire_ms`` counts from its beginning, or the end of the one before; so it has whatever the
        caller did for longer than the brain computed.

        Raises:
            ConfigurationError: No step is under way, or its inputs can't be used.
            BrainFault: The brain, its episode, or the way to it was lost; ``reset`` begins another episode.
        """
        if not self._under_way:
            raise ConfigurationError("no step is under way: call begin_step(inputs) first")
        request, began = self._under_way[0]
        try:
            reply = self._exchange(request)
        finally:
            self._under_way.popleft()
        self._seq += 1
        readings = self._readings(reply, self._seq, max(began, self._answered_s))
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
        self._has_episode = False
        self._under_way.clear()
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
        reply = self._exchange(self._numbered(pb.Request(collect=pb.Collect())))
        return self._readings(reply, self._seq, started)

    def close(self) -> None:
        """Give the brain back; may be called again."""
        if self._is_closed:
            return
        self._is_closed = True
        self._detach()
        if self._session is not None:
            try:
                self._stub.Release(spb.ReleaseRequest(), metadata=self._metadata, timeout=_CALL_TIMEOUT_S)
            except grpc.RpcError as error:
                _LOGGER.info("the session ends by its lease: %s", reason(error))
        self._channel.close()

    def __enter__(self) -> Self:
        """Return the brain itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (*self._authorization, (SESSION_KEY, self._session or ""))

    def _open(self) -> pb.Description:
        """Open a session, trying again while the server starts or builds."""
        request = spb.OpenRequest(protocol_version=PROTOCOL_VERSION, client=self._client)

        def attempt() -> spb.Session:
            opened: spb.Session = self._stub.Open(
                request, metadata=self._authorization, timeout=_CALL_TIMEOUT_S
            )
            return opened

        session = self._retried(attempt, self._connect_timeout_s, f"no brain at {self.address}")
        self._session, self._id = session.id, 0
        check_version(session.description.protocol_version)
        return session.description

    def _reopen(self) -> None:
        """Open another session, with the devices of the one before."""
        self._detach()
        found = decode_description(self._open())
        if (found.identity, found.inputs, found.outputs) != (
            self._bare.identity,
            self._bare.inputs,
            self._bare.outputs,
        ):
            self.close()
            raise BrainFault(f"the server at {self.address} serves another brain now; connect again")
        if self._devices:
            configure = pb.Configure(devices=self._devices)
            self._take(self._described(self._exchange(self._numbered(pb.Request(configure=configure)))))

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
        self._seq, self._has_episode = 0, False
        self._under_way.clear()
        is_restore = request.HasField("restore")
        try:
            reply = self._exchange(self._numbered(request)) if is_restore else self._exchange_anew(request)
        except (ConfigurationError, SnapshotFault):
            if is_restore:
                self._seq, self._has_episode = before
            raise
        self._has_episode = True
        self._seq = int(reply.readings.seq) if is_restore else 0
        return self._readings(reply, self._seq, started)

    def _ask_about_instants(self, request: pb.Request) -> pb.Snapshots:
        self._check_idle("this")
        reply = self._exchange(self._numbered(request))
        if not reply.HasField("snapshots"):
            raise ProtocolError("the answer about snapshots is another message")
        return reply.snapshots

    def _numbered(self, request: pb.Request) -> pb.Request:
        self._id += 1
        request.id = self._id
        return request

    def _exchange_anew(self, request: pb.Request) -> pb.Reply:
        """Send ``request``, in another session where the present one is lost."""
        if self._session is None:
            self._reopen()
        try:
            return self._exchange(self._numbered(request))
        except SessionGone:
            self._reopen()
            return self._exchange(self._numbered(request))

    def _exchange(self, request: pb.Request) -> pb.Reply:
        """Send ``request`` until it is answered; raises what a fault stands for."""
        try:
            reply = self._attempt(request)
        except grpc.RpcError as error:
            if not is_transient(error):
                raise self._lost(error) from None
            reply = self._retry(request, error)
        except BaseException:
            self._detach()
            self._has_episode = False
            raise
        if reply.HasField("fault"):
            raise self._fault_of(reply)
        return reply

    def _retry(self, request: pb.Request, error: grpc.RpcError) -> pb.Reply:
        _LOGGER.warning("connection to %s broke (%s); trying again", self.address, reason(error))
        self._detach()
        try:
            return self._retried(
                lambda: self._attempt(request),
                self._reconnect_s,
                f"the connection to {self.address} was lost",
            )
        except BaseException:
            self._has_episode = False
            raise

    def _attempt(self, request: pb.Request) -> pb.Reply:
        return self._open_stream().exchange(request, self._on_progress)

    def _open_stream(self) -> ExchangeStream:
        if self._stream is None:
            self._stream = ExchangeStream(self._stub.Exchange, self._metadata, self._silence_s)
            for request, _ in self._under_way:  # on a new connection they are asked again
                self._stream.send(request)
        return self._stream

    def _retried(self, attempt: Callable[[], Answer], patience_s: float, what: str) -> Answer:
        """Call ``attempt`` until it works, waiting longer each time; fails when patience ends."""
        began = time.monotonic()
        for pause_s in pauses_s():
            try:
                return attempt()
            except grpc.RpcError as error:
                self._detach()
                limit_s = self._start_timeout_s if BEING_BUILT in reason(error) else patience_s
                if not is_transient(error) or time.monotonic() - began > limit_s:
                    raise self._lost(error, what) from None
            time.sleep(pause_s)
        raise AssertionError("pauses do not end")

    def _detach(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _lost(self, error: grpc.RpcError, what: str = "the episode was lost") -> Exception:
        """Return the exception for a call that will not be tried again."""
        self._detach()
        self._has_episode = False
        failure = failure_of(error, what)
        if isinstance(failure, SessionGone):
            self._session = None
        return failure

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
        if len(self._under_way) >= steps:
            raise ConfigurationError(f"a step is under way: call finish_step() before {call}")
