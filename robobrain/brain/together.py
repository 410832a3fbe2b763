"""Serving a brain on several ranks: every rank hears every request, rank 0 answers.

The ranks run the same server on the same requests, so each of NEST's calls is made by all of them. They go on
together or end together: what one rank alone can't do would leave the others waiting for it.
"""

from __future__ import annotations

import contextlib
import logging

from robobrain.brain.ranks import Ranks
from robobrain.bridge.pipe import Frames, PipeClosed
from robobrain.bridge.serve import KernelModel, Server
from robobrain.bridge.v1 import brain_pb2 as pb

_LOGGER = logging.getLogger(__name__)


class SharedPipe:
    """The client's pipe, heard by all ranks."""

    def __init__(self, pipe: Frames | None, ranks: Ranks) -> None:
        """Take over the pipe on rank 0, None elsewhere."""
        self._pipe = pipe
        self._ranks = ranks

    def send(self, payload: bytes) -> None:
        """Send a frame from rank 0; a client that is gone is noticed by all ranks when they listen next."""
        if self._pipe is not None:
            with contextlib.suppress(PipeClosed):
                self._pipe.send(payload)

    def receive(self) -> bytes:
        """Return the next frame, on every rank.

        Raises:
            PipeClosed: The client is gone.
            ProtocolError: On rank 0, while the others see the client gone: it broke the rules of the pipe.
        """
        payload = b""
        try:
            if self._pipe is not None:
                payload = self._pipe.receive()
        finally:
            payload = self._ranks.broadcast(payload)
        if not payload:
            raise PipeClosed("the other end of the pipe is gone")
        return payload


class RankServer(Server):
    """Answers requests on all ranks; an episode that is lost on one of them ends them all."""

    def __init__(self, model: KernelModel, pipe: SharedPipe, ranks: Ranks) -> None:
        """Prepare to serve ``model``."""
        super().__init__(model, pipe)
        self._ranks = ranks

    def run(self) -> None:
        """Serve as `Server` does; an error that it does not answer ends all ranks."""
        try:
            super().run()
        except Exception:
            _LOGGER.exception("rank %d of %d failed, so all end", self._ranks.rank, self._ranks.size)
            self._ranks.end_all()

    def _lose_episode(self, beginning: pb.Request, error: Exception) -> None:
        _LOGGER.error("rank %d of %d can't go on, so none can", self._ranks.rank, self._ranks.size)
        self._ranks.end_all()
