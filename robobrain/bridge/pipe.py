"""Frames on a stream socket: four bytes of length, then the payload."""

from __future__ import annotations

import socket
import struct
from typing import Protocol

from robobrain.errors import BrainFault, ProtocolError

MAX_FRAME_BYTES = 64 * 2**20
"""Largest payload; five million spikes of one exchange fit."""

_HEADER = struct.Struct("<I")


class PipeClosed(BrainFault):
    """The other end of the pipe is gone."""


class Frames(Protocol):
    """Something that frames go through."""

    def send(self, payload: bytes) -> None:
        """Send one frame."""

    def receive(self) -> bytes:
        """Wait for one frame and return its payload."""


class Pipe:
    """Sends and receives frames.

    It never reads beyond the frame it returns, so that processes can take turns on one socket. A receive
    that times out or is interrupted keeps what it has read, the next one goes on from there.
    """

    def __init__(self, connection: socket.socket, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        """Take over ``connection``, a connected stream socket; its time-out applies to each wait.

        Args:
            connection: The socket, closed by :meth:`close`.
            max_frame_bytes: Largest payload that is sent or accepted.
        """
        self._socket = connection
        self._max_frame_bytes = max_frame_bytes
        self._partial = bytearray()

    def send(self, payload: bytes) -> None:
        """Send one frame.

        Raises:
            PipeClosed: The other end is gone.
            ProtocolError: The payload is too large.
            TimeoutError: The other end does not read.
        """
        if len(payload) > self._max_frame_bytes:
            raise ProtocolError(f"a frame of {len(payload)} bytes; {self._max_frame_bytes} are allowed")
        try:
            self._socket.sendall(_HEADER.pack(len(payload)) + payload)
        except (BrokenPipeError, ConnectionResetError):
            raise PipeClosed("the other end of the pipe is gone") from None

    def receive(self) -> bytes:
        """Wait for one frame and return its payload.

        Raises:
            PipeClosed: The other end closed between two frames.
            ProtocolError: It closed within a frame, or announced one that is too large.
            TimeoutError: Nothing came within the socket's time-out; the next call goes on.
        """
        self._fill(_HEADER.size)
        (size,) = _HEADER.unpack_from(self._partial)
        if size > self._max_frame_bytes:
            raise ProtocolError(f"a frame of {size} bytes was announced; {self._max_frame_bytes} are allowed")
        self._fill(_HEADER.size + size)
        payload = bytes(self._partial[_HEADER.size :])
        self._partial.clear()  # last, so that an interrupt before loses nothing
        return payload

    def _fill(self, size: int) -> None:
        while len(self._partial) < size:
            try:
                chunk = self._socket.recv(size - len(self._partial))
            except ConnectionResetError:
                chunk = b""
            if chunk:
                self._partial += chunk
            elif self._partial:
                raise ProtocolError(f"the pipe closed within a frame, after {len(self._partial)} bytes")
            else:
                raise PipeClosed("the other end of the pipe is gone")

    def drain(self) -> None:
        """Read and drop everything until the other end, in every process that holds it, is closed.

        Raises:
            TimeoutError: It stays open.
        """
        try:
            while self._socket.recv(2**16):
                pass
        except ConnectionResetError:
            pass

    def duplicate(self) -> socket.socket:
        """Return another handle of this end's socket, for an event loop; whoever asked for it closes it."""
        return self._socket.dup()

    def close(self) -> None:
        """Close this end; may be called again."""
        self._socket.close()
