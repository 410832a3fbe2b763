"""Where every neuron of a brain will be, known before anything is built."""

from __future__ import annotations

from robobrain.brain.axons import longest_synapse_ms
from robobrain.brain.network import place
from robobrain.brain.site import Site
from robobrain.brain.spec import CYCLE_MS, BrainSpec


def planned_site(spec: BrainSpec, exchange_ms: float) -> Site:
    """Return the brain as devices will find it, without a kernel: to check and count, not to connect.

    Raises:
        ConfigurationError: The exchange is no multiple of the shortest delay.
    """
    populations, next_id = {}, 1
    for population in spec.populations:
        populations[population.name] = place(population, next_id)
        next_id += population.size
    return Site(
        nest=None,
        populations=populations,
        resolution_ms=spec.resolution_ms,
        exchange_ms=exchange_ms,
        min_delay_ms=CYCLE_MS,
        max_delay_ms=longest_synapse_ms(spec),
    )
