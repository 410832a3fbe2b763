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
    """Compare spikes and last potentials of two brains of size `tiny`, all other things equal."""
    configure_openmp(1)
    packed, own = (_course(neurons) for neurons in (Path(module), False))
    if all(np.array_equal(ours, theirs) for ours, theirs in zip(packed, own, strict=True)):
        return 0
    spikes, theirs = packed[0].shape[1], own[0].shape[1]
    print(
        f"error: packed neurons gave {spikes} spikes that are not the {theirs} of NEST's own", file=sys.stderr
    )
    return 1


def _course(packed: Path | bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from robobrain.brain.network import Network  # noqa: PLC0415 - NEST must find its settings

    network = Network(choose("tiny").spec(), threads=1, packed=packed)
    recorder = network.nest.Create("spike_recorder")
    for nodes in network.nodes.values():
        network.nest.Connect(nodes, recorder)
    network.nest.Simulate(SECONDS * 1e3)
    spikes = np.array([recorder.events["times"], recorder.events["senders"]])
    potentials = [nodes.get("V_m") for nodes in network.nodes.values() if "V_m" in nodes[0].get()]
    return spikes[:, np.lexsort(spikes[::-1])], np.concatenate(potentials)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
