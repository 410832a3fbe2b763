"""What can be asked of a server without a session."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from robobrain.bridge.remote_stream import authorization, open_channel, reason
from robobrain.bridge.rendezvous import find_server
from robobrain.bridge.v1 import service_pb2 as spb
from robobrain.bridge.v1.service_pb2_grpc import BrainStub
from robobrain.errors import BrainFault

_TIMEOUT_S = 10.0


class ServerLink:
    """A connection to a server for its status and its end."""

    def __init__(self, address: str, *, credentials: Path | None = None) -> None:
        """Prepare to call ``address``.

        Args:
            address: ``host:port`` of the server, or ``@FILE`` with its rendezvous file.
            credentials: Folder of the client's credentials; None for the one that the rendezvous file names,
                or a server on this machine without any.

        Raises:
            ConfigurationError: The address or the credentials can't be used.
        """
        self._address, proof = find_server(address, credentials)
        self._metadata = authorization(proof)
        self._channel = open_channel(self._address, proof)
        self._stub = BrainStub(self._channel)  # type: ignore[no-untyped-call]

    def status(self) -> spb.ServerStatus:
        """Return who uses what, and how fast.

        Raises:
            BrainFault: The server can't be reached, or refuses.
        """
        try:
            reply: spb.ServerStatus = self._stub.Status(
                spb.StatusRequest(), metadata=self._metadata, timeout=_TIMEOUT_S
            )
        except grpc.RpcError as error:
            raise BrainFault(f"no status of {self._address}: {reason(error)}") from None
        return reply

    def shutdown(self, *, even_if_leased: bool = False) -> None:
        """Ask the server to end.

        Args:
            even_if_leased: Also while others hold sessions.

        Raises:
            BrainFault: The server can't be reached, or refuses.
        """
        request = spb.ShutdownRequest(even_if_leased=even_if_leased)
        try:
            self._stub.Shutdown(request, metadata=self._metadata, timeout=_TIMEOUT_S)
        except grpc.RpcError as error:
            raise BrainFault(f"{self._address} goes on: {reason(error)}") from None

    def close(self) -> None:
        """Close the connection; may be called again."""
        self._channel.close()

    def __enter__(self) -> Self:
        """Return the link itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()
