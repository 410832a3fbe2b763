"""A kernel process without NEST for the tests of the link: ``python bridge_kernels.py MODE --fd N``."""

from __future__ import annotations

import os
import signal
import socket
import sys
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from robobrain.bridge.messages import Description, PopulationInfo, Port, Readings, Spikes
from robobrain.bridge.pipe import Pipe
from robobrain.bridge.serve import Server
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import ConfigurationError

DESCRIPTION = Description(
    identity="abc",
    brain="sum",
    nest_version="none",
    ranks=1,
    threads=1,
    resolution_ms=0.1,
    exchange_ms=10.0,
    settle_ms=0.0,
    neurons=3,
    synapses=0,
    inputs=(
        Port(name="left", unit="Hz", channels=("a", "b"), low=0.0, high=1.0),
        Port(name="right", unit="mN", channels=("c",), low=-1.0, high=1.0, description="a force"),
    ),
    outputs=(Port(name="sum", unit="Hz", channels=("now", "total"), low=0.0, high=10.0),),
    populations=(PopulationInfo(name="all", region="none", first_id=1, size=3),),
    build_ms={"second": 2.0, "first": 1.0},
)


class SumModel:
    """Gives back the sum of its inputs, and the sum over the episode, which begins with the seed."""

    description = DESCRIPTION

    def __init__(self) -> None:
        self.calls = 0
        self.offset = 0.0

    def begin(self, seed: int) -> Readings:
        if seed == 13:
            raise ConfigurationError("13 is no seed of mine")
        self.total = float(seed)
        return self._readings(0.0)

    def exchange(self, inputs: NDArray[np.float32]) -> Readings:
        if inputs[0] == 666.0:
            raise RuntimeError("the model broke")
        if inputs[0] == 999.0:
            os._exit(3)
        self.calls += 1
        self.total += float(inputs.sum())
        return self._readings(float(inputs.sum()))

    def collect(self) -> Spikes:
        return Spikes(t_ms=np.array([self.total]), sender=np.array([3], dtype=np.uint32))

    def _readings(self, now: float) -> Readings:
        spikes = Spikes(t_ms=np.array([0.5, 1.0]), sender=np.array([2, 1], dtype=np.uint32))
        return Readings(outputs=np.array([now + self.offset, self.total], dtype=np.float32), spikes=spikes)


def main() -> None:
    mode, fd = sys.argv[1], int(sys.argv[-1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = Pipe(socket.socket(fileno=fd))
    model = SumModel()
    if mode == "future":
        model.description = replace(DESCRIPTION, protocol_version="2.3")
    elif mode == "garbage":
        pipe.send(b"\xff\xff\xff")
    elif mode == "dies":
        sys.exit("no memory left on this machine")
    elif mode == "wrong-size":
        model.description = replace(DESCRIPTION, outputs=())
    elif mode == "progress":
        for done in (0.0, 0.5, 1.0):
            pipe.send(pb.Reply(progress=pb.Progress(phase="wiring", fraction=done)).SerializeToString())
    elif mode == "offset":
        model.offset = 1.0
    elif mode == "deaf":
        signal.pause()
    Server(model, pipe).run()


if __name__ == "__main__":
    main()
