"""Slow paths in two legs: a relay for each neuron carries its spikes the first part of the way.

NEST keeps, for every neuron, a slot of its input buffer for each step up to the longest delay of any synapse,
and goes round through all of them; a few slow paths would make all buffers together larger than the
processor's cache. A spike arrives at the same time in two legs as in one.
"""

from __future__ import annotations

import math

from robobrain.brain.spec import CYCLE_MS, BrainSpec, Projection


def is_slow(spec: BrainSpec, projection: Projection) -> bool:
    """Tell whether the projection goes in two legs."""
    divisible = projection.delay_ms >= 2 * CYCLE_MS
    return divisible and projection.longest_delay_ms > spec.synapse_delay_max_ms


def first_legs_ms(spec: BrainSpec) -> dict[str, float]:
    """Return the delay from the neurons to their relays, for each population that has a slow projection."""
    slow: dict[str, list[Projection]] = {}
    for projection in spec.projections:
        if is_slow(spec, projection):
            slow.setdefault(projection.pre, []).append(projection)
    return {name: _first_leg_ms(spec, projections) for name, projections in slow.items()}


def noise_leg_ms(spec: BrainSpec) -> float:
    """Return the delay from the noise pool to the relays of its slow paths; 0 where it has none."""
    longest_ms = spec.noise.delay_ms[1]
    limit_ms = spec.synapse_delay_max_ms
    return _split_ms(spec, longest_ms, limit_ms) if longest_ms > limit_ms else 0.0


def longest_synapse_ms(spec: BrainSpec) -> float:
    """Return the longest delay of a single synapse in the network that is built."""
    legs_ms = first_legs_ms(spec)
    direct_ms = (
        projection.longest_delay_ms - (legs_ms[projection.pre] if is_slow(spec, projection) else 0.0)
        for projection in spec.projections
    )
    noise_ms, first_ms = spec.noise.delay_ms[1], noise_leg_ms(spec)
    noise_legs_ms = (min(noise_ms, spec.synapse_delay_max_ms), first_ms, noise_ms - first_ms)
    return max(*noise_legs_ms, *legs_ms.values(), *direct_ms)


def _first_leg_ms(spec: BrainSpec, slow: list[Projection]) -> float:
    longest_ms = max(projection.longest_delay_ms for projection in slow)
    return _split_ms(spec, longest_ms, min(projection.delay_ms for projection in slow))


def _split_ms(spec: BrainSpec, longest_ms: float, shortest_ms: float) -> float:
    """Return the first leg of delays: as short as the limit lets it be, leaving enough for a second one."""
    wanted_ms = max(longest_ms - spec.synapse_delay_max_ms, CYCLE_MS)
    steps = math.floor(min(wanted_ms, shortest_ms - CYCLE_MS) / spec.resolution_ms + 1e-9)
    return steps * spec.resolution_ms
