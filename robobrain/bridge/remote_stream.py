"""The stream of a session, from the client's side."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import grpc

from robobrain.bridge.link import ProgressListener
from robobrain.bridge.pipe import MAX_FRAME_BYTES
from robobrain.bridge.security import Address, ClientCredentials
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import BrainFault, ConfigurationError, ProtocolError

_TRANSIENT = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
)
_HOPELESS = ("CERTIFICATE_VERIFY_FAILED", "Peer name", "WRONG_VERSION_NUMBER")
"""In the reasons of failures that another try does not mend."""
_REFUSALS: dict[Any, type[ConfigurationError | BrainFault]] = {
    grpc.StatusCode.INVALID_ARGUMENT: ConfigurationError,
    grpc.StatusCode.FAILED_PRECONDITION: ProtocolError,
}
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0


class SessionGone(BrainFault):
    """The server does not have the session any more."""


def open_channel(address: Address, credentials: ClientCredentials | None) -> grpc.Channel:
    """Return a channel to a server; it connects when it is first used.

    Raises:
        ConfigurationError: Another machine would be called without encryption.
    """
    options = [
        ("grpc.max_receive_message_length", 2 * MAX_FRAME_BYTES),
        ("grpc.max_send_message_length", MAX_FRAME_BYTES),
        ("grpc.keepalive_time_ms", 5_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 500),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
    ]
    if credentials is not None:
        return grpc.secure_channel(str(address), credentials.for_grpc(), options)
    if not address.is_loopback:
        raise ConfigurationError(
            f"{address} is another machine: give the folder of credentials that its server made (client/)"
        )
    return grpc.insecure_channel(str(address), options)


def authorization(credentials: ClientCredentials | None) -> tuple[tuple[str, str], ...]:
    """Return the metadata that carry the token, none without one."""
    if credentials is None or credentials.token is None:
        return ()
    return (("authorization", f"Bearer {credentials.token}"),)


def is_transient(error: grpc.RpcError) -> bool:
    """Return whether another try may work."""
    return error.code() in _TRANSIENT and not any(mark in (error.details() or "") for mark in _HOPELESS)


def reason(error: grpc.RpcError) -> str:
    """Return what went wrong, in words."""
    details, code = error.details() or "", error.code()
    if code == grpc.StatusCode.UNAUTHENTICATED:
        return f"{details}; give the folder of credentials that its server made (client/)"
    if code == grpc.StatusCode.UNAVAILABLE and ("Socket closed" in details or "Connection reset" in details):
        return f"{details}; if the server uses TLS, give its credentials"
    return details or code.name


def failure_of(error: grpc.RpcError, what: str) -> ConfigurationError | BrainFault:
    """Return the exception for a call that will not be tried again; ``what`` says what that means."""
    code = error.code()
    if code == grpc.StatusCode.NOT_FOUND:
        return SessionGone(f"{what}: {reason(error)}; reset(seed) begins a new episode")
    return _REFUSALS.get(code, BrainFault)(f"{what}: {reason(error)}")


def pauses_s() -> Iterator[float]:
    """Yield growing pauses for ever; they differ between processes, so that clients do not return as one."""
    pace, pause_s = 0.5 + os.getpid() % 100 / 99, _FIRST_PAUSE_S
    while True:
        yield pace * pause_s
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


class ExchangeStream:
    """One Exchange call; used by one thread."""

    def __init__(
        self, call: Callable[..., Any], metadata: tuple[tuple[str, str], ...], silence_s: float
    ) -> None:
        """Begin the call.

        Args:
            call: Exchange of the service's stub.
            metadata: Token and session.
            silence_s: Longest wait for a message of the server while a reply is due.
        """
        self._requests: SimpleQueue[pb.Request | None] = SimpleQueue()
        self._sent_id = 0
        self._replies = call(self._outgoing(), metadata=metadata)
        self._silence_s = silence_s
        self._due_s: float | None = None
        self._closed = threading.Event()
        threading.Thread(target=self._listen_for_silence, name="brain-silence", daemon=True).start()

    def send(self, request: pb.Request) -> None:
        """Send ``request``; `exchange` waits for its reply."""
        self._sent_id = request.id
        self._requests.put(request)

    def exchange(self, request: pb.Request, on_progress: ProgressListener | None) -> pb.Reply:
        """Send ``request``, unless that was done already, and return its reply.

        Raises:
            grpc.RpcError: The call ended.
            BrainFault: It ended without a status.
        """
        self._due_s = time.monotonic() + self._silence_s
        if request.id > self._sent_id:
            self.send(request)
        try:
            for reply in self._replies:
                if reply.HasField("progress"):
                    self._due_s = time.monotonic() + self._silence_s
                    if on_progress is not None:
                        on_progress(reply.progress.phase, reply.progress.fraction)
                elif reply.id == request.id:
                    return reply  # type: ignore[no-any-return]
        finally:
            self._due_s = None
        raise BrainFault("the server ended the exchange")

    def close(self) -> None:
        """End the call."""
        self._closed.set()
        self._requests.put(None)
        self._replies.cancel()

    def _outgoing(self) -> Iterator[pb.Request]:
        while (request := self._requests.get()) is not None:
            yield request

    def _listen_for_silence(self) -> None:
        """Cancel the call when the server is silent for too long while it owes a reply."""
        while self._replies.is_active() and not self._closed.wait(min(1.0, self._silence_s / 4)):
            due_s = self._due_s
            if due_s is not None and time.monotonic() > due_s:
                self._replies.cancel()
                return
