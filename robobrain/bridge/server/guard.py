"""Who may call, and how often."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import grpc

_SCHEME = "Bearer "
_PEERS = 1024


class RateLimit:
    """Allows each peer a burst of calls, then so many a second; remembers a bounded number of peers."""

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float] = monotonic) -> None:
        """Allow ``burst`` calls at once and ``per_s`` a second in the long run."""
        self.per_s, self.burst, self._clock = per_s, burst, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, peer: str) -> bool:
        """Count a call of ``peer`` and return whether it may go on."""
        now = self._clock()
        left, seen = self._left.pop(peer, (float(self.burst), now))
        left = min(self.burst, left + self.per_s * (now - seen))
        allowed = left >= 1.0
        self._left[peer] = (left - allowed, now)
        if len(self._left) > _PEERS:
            self._left.popitem(last=False)
        return allowed


def host_of(peer: str) -> str:
    """Return the host of a gRPC peer such as ``ipv4:10.0.0.1:4711``; all its connections count as one."""
    return peer.rpartition(":")[0]


class TokenGuard(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Turns away calls without the token before any message of theirs is read."""

    def __init__(self, token: str) -> None:
        """Let those in who know ``token``."""
        self._expected = (_SCHEME + token).encode()

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Pass the call on, or refuse it."""
        if self._knows(handler_call_details.invocation_metadata):
            return await continuation(handler_call_details)
        return grpc.stream_stream_rpc_method_handler(_turn_away)

    def _knows(self, metadata: Any) -> bool:
        given = next((value for key, value in metadata or () if key == "authorization"), "")
        return hmac.compare_digest(str(given).encode(), self._expected)


async def _turn_away(_: Any, context: Any) -> None:
    await context.abort(
        grpc.StatusCode.UNAUTHENTICATED, "this server needs its token; none, or a wrong one, came"
    )
