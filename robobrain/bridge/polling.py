"""How gRPC waits for its sockets."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import Final

_SWITCHES: Final = "GRPC_EXPERIMENTS"
"""Environment variable that gRPC reads when it is imported."""
_OWN_THREADS: Final = "-event_engine_client,-event_engine_listener"
_NEWEST_TRIED: Final = (1, 85)
"""Release of grpcio up to which it is known to have these switches; it complains of unknown ones."""


def wait_in_own_threads() -> None:
    """Let gRPC read sockets in the threads that wait for messages, not in a pool of further ones.

    A message then wakes one thread less at each end. It holds for this process and those that it starts,
    where gRPC was not imported yet. Who sets `GRPC_EXPERIMENTS` has it as set.
    """
    release = tuple(int(part) for part in version("grpcio").split(".")[:2])
    if release <= _NEWEST_TRIED:
        os.environ.setdefault(_SWITCHES, _OWN_THREADS)
