"""Open-loop experiments: a brain alone, with a protocol of what is put in, recorded like a session."""

from robobrain.tasks.openloop.protocol import PROTOCOLS, OpenLoopProtocol, Playback, Track, load_protocol
from robobrain.tasks.openloop.runner import OpenLoopPlan, OpenLoopResult, run_open_loop

__all__ = [
    "PROTOCOLS",
    "OpenLoopPlan",
    "OpenLoopProtocol",
    "OpenLoopResult",
    "Playback",
    "Track",
    "load_protocol",
    "run_open_loop",
]
