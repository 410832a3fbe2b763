"""``python -m robobrain.brain.packed_check MODULE``: exit 1 if packed neurons do not fire as NEST's own."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.choice import choose
from robobrain.brain.openmp import configure_openmp

SECONDS = 0.5
"""Model time that is compared (*assumed*: some 5,000 spikes of `tiny`, each an effect of those before)."""


def main(module: str) -> int:
    """Compare the spikes of two brains of size `tiny`, all other things equal."""
    configure_openmp(1)
    packed, own = (_spikes(neurons) for neurons in (Path(module), False))
    if not np.array_equal(packed, own):
        print(f"packed neurons gave {packed.shape[1]} spikes that are not the {own.shape[1]} of NEST's own")
        return 1
    return 0


def _spikes(packed: Path | bool) -> NDArray[np.float64]:
    from robobrain.brain.network import Network  # noqa: PLC0415 - NEST must find its settings

    network = Network(choose("tiny").spec(), threads=1, packed=packed)
    recorder = network.nest.Create("spike_recorder")
    for nodes in network.nodes.values():
        network.nest.Connect(nodes, recorder)
    network.nest.Simulate(SECONDS * 1e3)
    spikes = np.array([recorder.events["times"], recorder.events["senders"]])
    return spikes[:, np.lexsort(spikes[::-1])]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
