"""Fingerprints of a built network: what NEST holds, for comparing two builds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from robobrain.brain.network import Network

CONNECTION = ("source", "target", "receptor", "delay", "weight")
"""What tells synapses apart; sorted in this order, since threads store them in orders of their own."""


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Hashes of a network (16 hexadecimal digits each).

    Attributes:
        connections: Source, target, receptor, delay and weight of every synapse, background included; the
            same for any number of threads.
        neurons: All parameters and first potentials of every neuron.
    """

    connections: str
    neurons: str


def fingerprint(network: Network) -> Fingerprint:
    """Return the fingerprint of a network that has not run yet. Takes some 2 s per million synapses."""
    found = network.nest.GetConnections().get(list(CONNECTION))
    columns = [np.asarray(found[name], dtype=np.float64) for name in CONNECTION]
    order = np.lexsort(columns[::-1])
    synapses, cells = hashlib.sha256(), hashlib.sha256()
    for column in columns:
        synapses.update(column[order].tobytes())
    for population in network.spec.populations:
        nodes = network.nodes[population.name]
        for name in sorted({*population.params, *([] if population.v_init_mV is None else ["V_m"])}):
            cells.update(np.asarray(nodes.get(name), dtype=np.float64).tobytes())
    return Fingerprint(connections=synapses.hexdigest()[:16], neurons=cells.hexdigest()[:16])
