"""All spikes of a network of its own, for tests that compare networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.network import Network
from robobrain.brain.spec import BrainSpec


def spikes_of(spec: BrainSpec, duration_ms: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return neurons and times (ms) of all spikes of the populations, by time and then by neuron."""
    network = Network(spec, threads=1)
    recorder = network.nest.Create("spike_recorder")
    for nodes in network.nodes.values():
        network.nest.Connect(nodes, recorder)
    network.nest.Simulate(duration_ms)
    senders, times_ms = recorder.events["senders"], recorder.events["times"]
    order = np.lexsort((senders, times_ms))
    return senders[order], times_ms[order]
