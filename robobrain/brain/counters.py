"""Neurons that count the spikes of groups of neurons, at a cost that does not grow with what they counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from robobrain.brain.nodes import Floats, Nodes
from robobrain.brain.packed import COUNTER as PACKED_COUNTER
from robobrain.brain.packed_library import SpikeCounts
from robobrain.brain.ranks import ranks
from robobrain.brain.selectors import NodeIds
from robobrain.brain.site import Site

COUNTER = {
    "tau_m": 1e18,
    "V_th": math.inf,
    "E_L": 0.0,
    "V_m": 0.0,
    "V_reset": -1.0,
    "I_e": 0.0,
}
"""An ``iaf_psc_delta`` whose V_m sums what arrives: it never fires; ``exp(-h / tau_m)`` is 1.0 in doubles."""

LONGEST_COUNT_MS = 1000.0
"""Largest model time between two readings; the settling of a brain reads every 250 ms."""

_EXACT_BITS = 53  # of whole numbers in a double
_SPARE_BITS = 5  # above all digits, so that the sum is set back to 0 only now and then
_FULL = 2 ** (_EXACT_BITS - 1)


class Counters(Protocol):
    """Counts the spikes of groups of neurons; groups of the same neurons are counted once."""

    def new(self) -> Floats:
        """Return the spikes of each group since the last call, shape ``[groups]``."""


def make_counters(site: Site, groups: Sequence[NodeIds]) -> Counters:
    """Return counters of one group or more, packed ones where the kernel has them."""
    return CountingNeurons(site, groups) if site.module is None else PackedCounters(site, groups)


class PackedCounters:
    """One packed counter for each group, read past NEST."""

    def __init__(self, site: Site, groups: Sequence[NodeIds]) -> None:
        """Create the counters and connect the groups to them."""
        assert site.module is not None
        distinct, self._which = _distinct(groups)
        self._counts = SpikeCounts(site.module, len(distinct))
        for place, ids in enumerate(distinct, self._counts.first):
            site.tap(ids, site.nest.Create(PACKED_COUNTER, params={"place": place}))
        self._before: Floats = np.zeros(len(distinct))

    def new(self) -> Floats:
        """Return the spikes of each group since the last call, shape ``[groups]``."""
        now = self._counts.read()
        if ranks().size > 1:
            now = ranks().total(now)
        new: Floats = (now - self._before)[self._which]
        self._before = now
        return new


class CountingNeurons:
    """Neurons of NEST that count; one counts several groups, each in a digit of its own.

    Reading a neuron costs 6 us or more, whatever it is, so few should be read. A group's spikes weigh a power
    of two that no group below can reach between two readings; the difference of two sums then holds the new
    count of each group, and carries between digits cancel.
    """

    def __init__(self, site: Site, groups: Sequence[NodeIds]) -> None:
        """Create the counting neurons and connect the groups to them."""
        distinct, self._which = _distinct(groups)
        most = max(len(ids) for ids in groups) * round(LONGEST_COUNT_MS / site.resolution_ms)
        bits = most.bit_length()
        digits = max(1, (_EXACT_BITS - _SPARE_BITS) // bits)
        self._digits, self._bits = digits, bits
        counters: Any = site.nest.Create("iaf_psc_delta", -(-len(distinct) // digits), COUNTER)
        for index, ids in enumerate(distinct):
            site.tap(ids, counters[index // digits], weight=2.0 ** (bits * (index % digits)))
        self._nodes = Nodes(counters, low_level=site.low_level)
        self._sums = [0] * len(counters)

    def new(self) -> Floats:
        """Return the spikes of each group since the last call, shape ``[groups]``."""
        sums = [int(value) for value in self._nodes.values("V_m")]
        counts: list[int] = []
        mask, bits, last = (1 << self._bits) - 1, self._bits, self._digits - 1
        for now, before in zip(sums, self._sums, strict=True):
            rest = now - before
            for _ in range(last):
                counts.append(rest & mask)
                rest >>= bits
            counts.append(rest)
        if max(sums) > _FULL:
            self._nodes.set([{"V_m": 0.0}] * len(sums))
            sums = [0] * len(sums)
        self._sums = sums
        return np.array([counts[place] for place in self._which], dtype=float)


def _distinct(groups: Sequence[NodeIds]) -> tuple[list[NodeIds], list[int]]:
    """Return the groups that differ, and which of them each of ``groups`` is."""
    distinct = {ids.tobytes(): ids for ids in groups}
    places = {key: place for place, key in enumerate(distinct)}
    return list(distinct.values()), [places[ids.tobytes()] for ids in groups]
