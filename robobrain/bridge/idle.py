"""A brain that computes nothing, to measure what the exchange itself costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robobrain.bridge.messages import Description, Port, Readings


class IdleBrain:
    """Takes values and gives others back, without neurons: a model for a kernel process.

    Each output is the sum of the inputs, so that an answer belongs to its question.
    """

    def __init__(self, config: Mapping[str, Any], report: Callable[[str, float], None]) -> None:
        """Have ``config["sources"]`` inputs and ``config["monitors"]`` outputs of one channel each."""
        self._outputs = int(config["monitors"])
        self.description = Description(
            identity="idle",
            brain="idle",
            nest_version="none",
            ranks=1,
            threads=1,
            resolution_ms=0.5,
            exchange_ms=10.0,
            settle_ms=0.0,
            neurons=0,
            synapses=0,
            inputs=_ports("source", int(config["sources"])),
            outputs=_ports("monitor", self._outputs),
            populations=(),
            build_ms={},
        )
        report("ready", 1.0)

    def begin(self, seed: int) -> Readings:
        """Return outputs of 0."""
        return Readings(outputs=np.zeros(self._outputs, dtype=np.float32))

    def exchange(self, inputs: NDArray[np.float32]) -> Readings:
        """Return the sum of ``inputs`` from every output."""
        return Readings(outputs=np.full(self._outputs, inputs.sum(), dtype=np.float32))

    def collect(self) -> None:
        """Return no spikes."""

    def reseed(self, seed: int) -> None:
        """Do nothing: no random number is drawn."""

    def silence(self, names: Sequence[str]) -> None:
        """Do nothing: no neuron fires."""

    def digest(self) -> bytes:
        """Return an empty digest."""
        return b""


def _ports(name: str, number: int) -> tuple[Port, ...]:
    return tuple(
        Port(name=f"{name}{one}", unit="1", channels=("value",), low=0.0, high=1.0) for one in range(number)
    )
