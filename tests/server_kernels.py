"""A kernel process without NEST for the tests of the server: ``python server_kernels.py MODE --fd N``.

Its first input asks for trouble: 333 waits for the next request, 444 computes for two seconds, 555 sleeps for
ever, 666 raises, 999 dies.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time

import numpy as np
from bridge_kernels import SumModel
from numpy.typing import NDArray

from robobrain.brain.holder import end_with_parent
from robobrain.bridge.messages import Readings, Spikes
from robobrain.bridge.pipe import Pipe
from robobrain.bridge.serve import Server
from robobrain.bridge.v1 import brain_pb2 as pb


class TroubleModel(SumModel):
    """Adds up its inputs, as slowly as it is asked to, and hands out a spike for each collect."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd

    def exchange(self, inputs: NDArray[np.float32]) -> Readings:
        if inputs[0] == 333.0 and not select.select([self._fd], [], [], 30.0)[0]:
            raise RuntimeError("the next request did not come")
        if inputs[0] == 444.0:
            end = time.process_time() + 2.0
            while time.process_time() < end:
                pass
        if inputs[0] == 555.0:
            time.sleep(1e6)
        return super().exchange(inputs)

    def collect(self) -> Spikes | None:
        self.total += 1.0
        return Spikes(t_ms=np.array([self.total]), sender=np.array([1], dtype=np.uint32))


def main() -> None:
    mode, fd = sys.argv[1], int(sys.argv[-1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    pipe = Pipe(socket.socket(fileno=fd))
    if mode == "slow-start":
        for done in (0.1, 0.5):
            pipe.send(pb.Reply(progress=pb.Progress(phase="wiring", fraction=done)).SerializeToString())
            time.sleep(1.0)
    elif mode == "broken":
        sys.exit("no memory left on this machine")
    elif mode == "few":  # only so many are started
        with open(sys.argv[2], "ab") as starts:
            starts.write(b".")
        if os.path.getsize(sys.argv[2]) > int(sys.argv[3]):
            sys.exit("this machine has no room for another")
    elif mode == "once":
        marker = sys.argv[2]
        if os.path.exists(marker):
            sys.exit("the second one does not start")
        with open(marker, "w"):
            pass
    Server(TroubleModel(fd), pipe).run()


if __name__ == "__main__":
    main()
