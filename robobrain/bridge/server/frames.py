"""The frames of :mod:`robobrain.bridge.pipe`, for an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from robobrain.bridge.pipe import MAX_FRAME_BYTES
from robobrain.errors import ProtocolError

_HEADER_BYTES = 4


class Frames(asyncio.Protocol):
    """Sends and receives frames on the connection that it is the protocol of.

    Attributes:
        at_end: Nothing will come any more.
    """

    def __init__(
        self, on_frame: Callable[[bytes], None], on_end: Callable[[ProtocolError | None], None]
    ) -> None:
        """Hand on what comes.

        Args:
            on_frame: Gets the payload of each frame; a ProtocolError of it ends the connection.
            on_end: Told once that nothing will come any more; where the other end broke the rules, why.
        """
        self.at_end = False
        self._on_frame, self._on_end = on_frame, on_end
        self._buffer = bytearray()
        self._problem: ProtocolError | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Cut what came into frames."""
        self._buffer += data
        try:
            while (frame := self._next_frame()) is not None:
                self._on_frame(frame)
        except ProtocolError as error:
            self._problem = error
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Note the end."""
        self.at_end = True
        self._on_end(self._problem)

    def send(self, payload: bytes) -> None:
        """Send one frame; that the other end is gone shows as the end."""
        self._transport.write(len(payload).to_bytes(_HEADER_BYTES, "little") + payload)

    def close(self) -> None:
        """Close this end."""
        self._transport.abort()

    def _next_frame(self) -> bytes | None:
        if len(self._buffer) < _HEADER_BYTES:
            return None
        end = _HEADER_BYTES + int.from_bytes(self._buffer[:_HEADER_BYTES], "little")
        if end > _HEADER_BYTES + MAX_FRAME_BYTES:
            raise ProtocolError(f"a frame of {end - _HEADER_BYTES} bytes; {MAX_FRAME_BYTES} are allowed")
        if len(self._buffer) < end:
            return None
        frame = bytes(memoryview(self._buffer)[_HEADER_BYTES:end])
        del self._buffer[:end]
        return frame
