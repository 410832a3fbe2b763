"""What becomes of a request."""

from __future__ import annotations

import asyncio

from robobrain.bridge.v1 import brain_pb2 as pb


class Answer:
    """The reply to a request, which is worked out whether somebody waits for it or not.

    Attributes:
        reply: The reply; None until it is there.
        work: What works it out; None where the kernel has the request.
    """

    def __init__(self) -> None:
        self.reply: pb.Reply | None = None
        self.work: asyncio.Task[None] | None = None
        self._waiting: list[asyncio.Future[pb.Reply]] = []

    def settle(self, reply: pb.Reply) -> None:
        """Give the reply to all who wait for it; the first one holds."""
        if self.reply is not None:
            return
        self.reply = reply
        for waiting in self._waiting:
            if not waiting.done():  # who was cancelled does not wait any more
                waiting.set_result(reply)
        self._waiting.clear()

    def abandon(self, reply: pb.Reply) -> None:
        """Stop the work; ``reply`` is the reply unless there is one."""
        if self.work is not None:
            self.work.cancel()
        self.settle(reply)

    async def wait(self) -> pb.Reply:
        """Wait for the reply and return it; to be cancelled at will."""
        if self.reply is not None:
            return self.reply
        waiting: asyncio.Future[pb.Reply] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        return await waiting
