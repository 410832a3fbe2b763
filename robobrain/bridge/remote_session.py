"""A client's lease of a brain on a server, and the way to it."""

from __future__ import annotations

import logging
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import grpc

from robobrain.bridge.codec import check_version
from robobrain.bridge.link import ProgressListener
from robobrain.bridge.messages import BEING_BUILT, PROTOCOL_VERSION, SESSION_KEY
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
from robobrain.bridge.security import Address, ClientCredentials
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.bridge.v1 import service_pb2 as spb
from robobrain.bridge.v1.service_pb2_grpc import BrainStub

_LOGGER = logging.getLogger(__name__)
_CALL_TIMEOUT_S = 10.0

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a client waits.

    Attributes:
        connect_s: For the server to answer at all.
        start_s: For a brain that is being built.
        reconnect_s: For a broken connection to come back.
        silence_s: For a sign of life while a reply is due; the server gives one every second.
    """

    connect_s: float
    start_s: float
    reconnect_s: float
    silence_s: float


class Session:
    """Carries requests to a leased brain and its replies back.

    A connection that breaks is made anew, and what was not answered is asked again under its number, so that
    the server runs no step twice. It is not to be used from several threads at once.
    """

    def __init__(
        self,
        address: Address,
        proof: ClientCredentials | None,
        client: str,
        patience: Patience,
        on_progress: ProgressListener | None,
    ) -> None:
        """Prepare to call the server; `open` leases a brain.

        Args:
            address: Where the server is.
            proof: What shows who the client is.
            client: Name shown to others.
            patience: How long to wait for what.
            on_progress: Told how far the building of a brain is.

        Raises:
            ConfigurationError: Another machine would be called without encryption.
        """
        self._address, self._client = address, client
        self._patience, self._on_progress = patience, on_progress
        self._authorization = authorization(proof)
        self._channel = open_channel(address, proof)
        weakref.finalize(self, self._channel.close)  # a forgotten brain is free after its lease
        self._stub = BrainStub(self._channel)  # type: ignore[no-untyped-call]
        self._stream: ExchangeStream | None = None
        self._name: str | None = None
        self._id = 0
        self._begun: deque[pb.Request] = deque()

    @property
    def is_open(self) -> bool:
        """Whether the server has, as far as is known, a brain leased to this client."""
        return self._name is not None

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What each call carries: the token, if there is one, and the session."""
        return (*self._authorization, (SESSION_KEY, self._name or ""))

    def open(self) -> pb.Description:
        """Lease a brain, trying again while the server starts or builds; return what the brain is.

        Raises:
            ProtocolError: The server speaks another version of the protocol.
            BrainFault: No server answers, it refuses, or every brain is in use (says by whom).
        """
        self.disconnect()
        request = spb.OpenRequest(protocol_version=PROTOCOL_VERSION, client=self._client)

        def attempt() -> spb.Session:
            opened: spb.Session = self._stub.Open(
                request, metadata=self._authorization, timeout=_CALL_TIMEOUT_S
            )
            return opened

        session = self._retried(attempt, self._patience.connect_s, f"no brain at {self._address}")
        self._name, self._id = session.id, 0
        check_version(session.description.protocol_version)
        return session.description

    def exchange(self, request: pb.Request) -> pb.Reply:
        """Give ``request`` the next number, send it until it is answered, and return the reply.

        Raises:
            SessionGone: The server does not have the session any more.
            BrainFault: The way to the server was lost, or it ended the session.
            ConfigurationError: The server refuses the request.
        """
        return self._answer_to(self._numbered(request))

    def begin(self, request: pb.Request) -> None:
        """Give ``request`` the next number and send it; `finish` waits for the reply."""
        self._numbered(request)
        self._connected().send(request)
        self._begun.append(request)

    def finish(self) -> pb.Reply:
        """Wait for the reply to the first request that was begun and not finished; raises as `exchange`."""
        try:
            return self._answer_to(self._begun[0])
        finally:
            self._begun.popleft()

    def forget_begun(self) -> None:
        """Wait no more for requests that were begun."""
        self._begun.clear()

    def disconnect(self) -> None:
        """End the connection, not the session; the next request makes another."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def close(self) -> None:
        """Give the brain back."""
        self.disconnect()
        if self._name is not None:
            try:
                self._stub.Release(spb.ReleaseRequest(), metadata=self.metadata, timeout=_CALL_TIMEOUT_S)
            except grpc.RpcError as error:
                _LOGGER.info("the session ends by its lease: %s", reason(error))
        self._channel.close()

    def _numbered(self, request: pb.Request) -> pb.Request:
        self._id += 1
        request.id = self._id
        return request

    def _answer_to(self, request: pb.Request) -> pb.Reply:
        try:
            return self._attempt(request)
        except grpc.RpcError as error:
            if not is_transient(error):
                raise self._lost(error, "the episode was lost") from None
            _LOGGER.warning("connection to %s broke (%s); trying again", self._address, reason(error))
        return self._retried(
            lambda: self._attempt(request),
            self._patience.reconnect_s,
            f"the connection to {self._address} was lost",
        )

    def _attempt(self, request: pb.Request) -> pb.Reply:
        try:
            return self._connected().exchange(request, self._on_progress)
        except BaseException:
            self.disconnect()
            raise

    def _connected(self) -> ExchangeStream:
        if self._stream is None:
            self._stream = ExchangeStream(self._stub.Exchange, self.metadata, self._patience.silence_s)
            for request in self._begun:  # on a new connection they are asked again
                self._stream.send(request)
        return self._stream

    def _retried(self, attempt: Callable[[], Answer], patience_s: float, what: str) -> Answer:
        """Call ``attempt`` until it works, waiting longer each time; fails when patience ends."""
        began = time.monotonic()
        for pause_s in pauses_s():
            try:
                return attempt()
            except grpc.RpcError as error:
                limit_s = self._patience.start_s if BEING_BUILT in reason(error) else patience_s
                if not is_transient(error) or time.monotonic() - began > limit_s:
                    raise self._lost(error, what) from None
            time.sleep(pause_s)
        raise AssertionError("pauses do not end")

    def _lost(self, error: grpc.RpcError, what: str) -> Exception:
        """Return the exception for a call that will not be tried again."""
        failure = failure_of(error, what)
        if isinstance(failure, SessionGone):
            self._name = None
        return failure
