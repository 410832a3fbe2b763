"""``python -m robobrain.brain.packed_check MODULE``: exit 1 if packed neurons do not fire as NEST's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.choice import choose
from robobrain.brain.interfaces import load_interfaces
from robobrain.brain.openmp import configure_openmp
from robobrain.seeding import generator

EXCHANGES, EXCHANGE_MS = 50, 10.0
"""What is compared (*assumed*: some 5,000 spikes of `tiny`, each an effect of those before)."""


def main(module: str) -> int:
    """Compare spikes, outputs and last potentials of two brains of size `tiny`, all other things equal."""
    configure_openmp(1)
    packed, own = (_course(neurons) for neurons in (Path(module), False))
    if all(np.array_equal(ours, theirs) for ours, theirs in zip(packed, own, strict=True)):
        return 0
    spikes, theirs = packed[0].shape[1], own[0].shape[1]
    print(
        f"error: packed neurons gave {spikes} spikes that are not the {theirs} of NEST's own",
        file=sys.stderr,
    )
    return 1


def _course(packed: Path | bool) -> tuple[NDArray[Any], ...]:
    """Return spikes, last potentials, and the outputs of a brain whose inputs change in each exchange."""
    from robobrain.brain.network import Network  # noqa: PLC0415 - NEST must find its settings
    from robobrain.brain.panel import Panel  # noqa: PLC0415

    network, wiring = Network(choose("tiny").spec(), threads=1, packed=packed), load_interfaces()
    panel = Panel.build(
        network.nest,
        network.populations,
        wiring.sources,
        wiring.monitors,
        resolution_ms=network.spec.resolution_ms,
        exchange_ms=EXCHANGE_MS,
        min_delay_ms=network.min_delay_ms,
        module=network.module,
    )
    recorder = network.nest.Create("spike_recorder")
    for nodes in network.nodes.values():
        network.nest.Connect(nodes, recorder)
    values = generator(1, "packed check").uniform(0.0, 1.0, (EXCHANGES, panel.input_size))
    outputs = []
    network.nest.Prepare()
    for exchange, inputs in enumerate(values):
        panel.write(inputs, exchange * EXCHANGE_MS)
        network.nest.Run(EXCHANGE_MS)
        outputs.append(panel.read())
    network.nest.Cleanup()
    spikes = np.array([recorder.events["times"], recorder.events["senders"]])
    potentials = [nodes.get("V_m") for nodes in network.nodes.values() if "V_m" in nodes[0].get()]
    return spikes[:, np.lexsort(spikes[::-1])], np.concatenate(potentials), np.array(outputs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
