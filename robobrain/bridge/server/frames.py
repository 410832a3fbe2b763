"""The frames of :mod:`robobrain.bridge.pipe`, for an event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from robobrain.bridge.pipe import MAX_FRAME_BYTES, PipeClosed
from robobrain.errors import ProtocolError

_HEADER_BYTES = 4


class Frames(asyncio.Protocol):
    """Sends and receives frames on the connection that it is the protocol of.

    Attributes:
        at_end: Nothing will come any more.
    """

    def __init__(self) -> None:
        self.at_end = False
        self._buffer = bytearray()
        self._frames: deque[bytes] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._problem: Exception = PipeClosed("the other end of the pipe is gone")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Cut what came into frames."""
        self._buffer += data
        while len(self._buffer) >= _HEADER_BYTES:
            size = int.from_bytes(self._buffer[:_HEADER_BYTES], "little")
            if size > MAX_FRAME_BYTES:
                self._problem = ProtocolError(f"a frame of {size} bytes; {MAX_FRAME_BYTES} are allowed")
                self._transport.abort()
                return
            if len(self._buffer) < _HEADER_BYTES + size:
                break
            self._frames.append(bytes(memoryview(self._buffer)[_HEADER_BYTES : _HEADER_BYTES + size]))
            del self._buffer[: _HEADER_BYTES + size]
        if self._frames:
            self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """Note the end."""
        self.at_end = True
        self._wake()

    def send(self, payload: bytes) -> None:
        """Send one frame; that the other end is gone shows when the answer is awaited."""
        self._transport.write(len(payload).to_bytes(_HEADER_BYTES, "little") + payload)

    async def receive(self) -> bytes:
        """Wait for one frame and return its payload; for one caller at a time.

        Raises:
            PipeClosed: The other end is gone.
            ProtocolError: It announced a frame that is too large.
        """
        while not self._frames:
            if self.at_end:
                raise self._problem
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return self._frames.popleft()

    def close(self) -> None:
        """Close this end."""
        self._transport.abort()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
