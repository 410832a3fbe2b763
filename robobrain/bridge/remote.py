"""A brain on a server, as its user sees it: the same as a local one."""

from __future__ import annotations

import getpass
import logging
import os
import socket
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from numpy.typing import ArrayLike

from robobrain.bridge.codec import check_version, decode_description, decode_fault, decode_readings
from robobrain.bridge.link import ProgressListener, exact_seed
from robobrain.bridge.messages import (
    BEING_BUILT,
    PROTOCOL_VERSION,
    SESSION_KEY,
    Readings,
    Spikes,
    exact_inputs,
)
from robobrain.bridge.remote_stream import (
    ExchangeStream,
    authorization,
    is_transient,
    open_channel,
    reason,
)
from robobrain.bridge.rendezvous import find_address
from robobrain.bridge.security import ClientCredentials
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.bridge.v1 import service_pb2 as spb
from robobrain.bridge.v1.service_pb2_grpc import BrainStub
from robobrain.errors import BrainFault, ConfigurationError, ProtocolError

_LOGGER = logging.getLogger(__name__)
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.05, 2.0
_CALL_TIMEOUT_S = 10.0
_REFUSALS: dict[Any, type[ConfigurationError | BrainFault]] = {
    grpc.StatusCode.INVALID_ARGUMENT: ConfigurationError,
    grpc.StatusCode.FAILED_PRECONDITION: ProtocolError,
}

Answer = TypeVar("Answer")


class RemoteBrain:
    """A brain leased from a server.

    When the connection breaks it comes back by itself and goes on with the session where the server still has
    it; no step is run twice. Otherwise a :class:`BrainFault` says so, and the next reset opens another
    session. It is not to be used from several threads at once. After an interrupted call (Ctrl-C) a reset is
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
            credentials: Folder with ``ca.pem`` and ``token`` (and ``client.pem``, ``client.key``); None for a
                server on this machine without encryption.
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
        self.address = find_address(address)
        proof = None if credentials is None else ClientCredentials.load(credentials)
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
        try:
            self.description = decode_description(self._open())
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
        started = time.perf_counter()
        number = exact_seed(seed)
        self._check_open()
        if self._session is None:
            self._reopen()
        request = self._request(reset=pb.Reset(seed=number))
        self._seq, self._has_episode = 0, False
        try:
            reply = self._exchange(request)
        except SessionGone:
            self._reopen()
            reply = self._exchange(self._request(reset=pb.Reset(seed=number)))
        self._has_episode = True
        return self._readings(reply, 0, started)

    def step(self, inputs: ArrayLike) -> Readings:
        """Apply ``inputs`` for one exchange period and return the readings at its end.

        Args:
            inputs: Finite numbers, [input_size], in the order of ``description.inputs``.

        Raises:
            ConfigurationError: The inputs can't be used, or no episode has begun; nothing was sent.
            BrainFault: The brain, its episode, or the way to it was lost; ``reset`` begins another episode.
        """
        started = time.perf_counter()
        self._check_episode("step(inputs)")
        packed = exact_inputs(inputs, self.description.input_size).tobytes()
        seq = self._seq + 1
        message = pb.Step(seq=seq, t_ms=self._seq * self.description.exchange_ms, inputs=packed)
        reply = self._exchange(self._request(step=message))
        self._seq = seq
        return self._readings(reply, seq, started)

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
        self._check_episode("collect()")
        reply = self._exchange(self._request(collect=pb.Collect()))
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
        self._detach()
        found = decode_description(self._open())
        if (found.identity, found.inputs, found.outputs) != (
            self.description.identity,
            self.description.inputs,
            self.description.outputs,
        ):
            self.close()
            raise BrainFault(f"the server at {self.address} serves another brain now; connect again")

    def _request(
        self, *, reset: pb.Reset | None = None, step: pb.Step | None = None, collect: pb.Collect | None = None
    ) -> pb.Request:
        self._id += 1
        return pb.Request(id=self._id, reset=reset, step=step, collect=collect)

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
        if self._stream is None:
            self._stream = ExchangeStream(self._stub.Exchange, self._metadata, self._silence_s)
        return self._stream.exchange(request, self._on_progress)

    def _retried(self, attempt: Callable[[], Answer], patience_s: float, what: str) -> Answer:
        """Call ``attempt`` until it works, waiting longer each time; fails when patience ends."""
        began, delay_s = time.monotonic(), _FIRST_DELAY_S
        while True:
            try:
                return attempt()
            except grpc.RpcError as error:
                self._detach()
                limit_s = self._start_timeout_s if BEING_BUILT in reason(error) else patience_s
                if not is_transient(error) or time.monotonic() - began > limit_s:
                    raise self._lost(error, what) from None
                time.sleep(delay_s * _own_pace())
                delay_s = min(2 * delay_s, _LONGEST_DELAY_S)

    def _detach(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _lost(self, error: grpc.RpcError, what: str = "the episode was lost") -> Exception:
        """Return the exception for a call that will not be tried again."""
        self._detach()
        self._has_episode = False
        code = error.code()
        if code == grpc.StatusCode.NOT_FOUND:
            self._session = None
            return SessionGone(f"{what}: {reason(error)}; reset(seed) begins a new episode")
        return _REFUSALS.get(code, BrainFault)(f"{what}: {reason(error)}")

    def _fault_of(self, reply: pb.Reply) -> BrainFault | ConfigurationError:
        if reply.fault.code not in (pb.FAULT_CODE_CONFIGURATION, pb.FAULT_CODE_PROTOCOL):
            self._has_episode = False
        return decode_fault(reply.fault)

    def _readings(self, reply: pb.Reply, seq: int, started: float) -> Readings:
        if not reply.HasField("readings") or reply.readings.seq != seq:
            self._has_episode = False
            raise ProtocolError(f"the answer to step {seq} is another message")
        total_ms = 1e3 * (time.perf_counter() - started)
        return decode_readings(reply.readings, self.description.output_size, total_ms)

    def _check_open(self) -> None:
        if self._is_closed:
            raise BrainFault("the brain was closed; make a new one")

    def _check_episode(self, call: str) -> None:
        self._check_open()
        if not self._has_episode:
            raise ConfigurationError(f"no episode has begun: call reset(seed) before {call}")


class SessionGone(BrainFault):
    """The server does not have the session any more."""


def _own_pace() -> float:
    """Return a factor of 0.5 to 1.5 that differs between processes, so that clients do not return as one."""
    return 0.5 + os.getpid() % 100 / 99
