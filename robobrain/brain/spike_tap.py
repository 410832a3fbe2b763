"""Recording of spikes that stays cheap: chunks by chunks, none lost, none twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.nodes import Floats, Nodes
from robobrain.brain.selectors import PlacedPopulation, Selector, evenly_spread, select_groups
from robobrain.errors import ConfigurationError


class SpikeChunk(NamedTuple):
    """Spikes sorted by time, then by sender."""

    t_ms: Floats
    sender: NDArray[np.uint32]


class SpikeTap:
    """Records the spikes of chosen populations and hands them out in chunks, none lost, none twice.

    Reading a memory recorder costs its whole history and NEST refuses to clear it between ``Prepare`` and
    ``Cleanup``; so about every ``chunk_ms`` of model time it is read and cleared between the two. ``Prepare``
    visits every neuron (1 ms at 10,000), which is most of what a chunk costs.
    Nothing but memory of this process is used, so a fork continues it, prepared or not.
    """

    def __init__(
        self,
        nest: Any,
        populations: Mapping[str, PlacedPopulation],
        names: Iterable[str],
        *,
        min_delay_ms: float,
        per_population: int | None = None,
        chunk_ms: float = 400.0,
    ) -> None:
        """Create and connect the recorder; call before ``nest.Prepare``.

        Args:
            nest: The NEST module.
            populations: All populations of the brain, by name.
            names: The populations to record.
            min_delay_ms: Smallest delay of the network's connections.
            per_population: Record at most this many cells of each, evenly spread (each costs 24-30 kB).
            chunk_ms: Model time between two chunks.
        """
        if not chunk_ms > 0 or (per_population is not None and per_population < 1):
            raise ConfigurationError(
                f"chunk_ms = {chunk_ms} and per_population = {per_population} must be positive"
            )
        self._nest = nest
        self._chunk_ms = chunk_ms
        self._since_ms = 0.0
        recorder = nest.Create("spike_recorder")
        self._node = Nodes(recorder)
        self._steps_per_ms = 1.0 / nest.resolution
        self.recorded: dict[str, NDArray[np.int64]] = {}
        for name in names:
            (population, ids), *_ = select_groups(Selector(population=name), populations)
            ids = ids[evenly_spread(population.size, min(population.size, per_population or population.size))]
            nest.Connect(nest.NodeCollection(ids), recorder, "all_to_all", {"delay": min_delay_ms})
            self.recorded[name] = ids

    def advance(self, run_ms: float) -> SpikeChunk | None:
        """Count ``run_ms`` of model time after a ``Run``; return the chunk if one is due, else None.

        Call it between ``Prepare`` and ``Cleanup``.
        """
        self._since_ms += run_ms
        return self.flush() if self._since_ms >= self._chunk_ms - 1e-9 else None

    def flush(self) -> SpikeChunk:
        """Return all spikes since the last chunk and clear them.

        Call it between ``Prepare`` and ``Cleanup``; the kernel is left in the same state.
        """
        self._nest.Cleanup()
        events = self._node.events()
        t_ms = np.asarray(events["times"], dtype=np.float64)
        sender = np.asarray(events["senders"]).astype(np.uint32)
        self._node.clear()
        self._nest.Prepare()
        self._since_ms = 0.0
        # One integer per spike sorts five times as fast as two keys.
        steps = np.rint(t_ms * self._steps_per_ms).astype(np.int64)
        order = np.argsort((steps << 32) | sender)
        return SpikeChunk(t_ms[order], sender[order])
