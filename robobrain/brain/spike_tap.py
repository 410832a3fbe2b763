"""Recording of spikes that stays cheap: chunks by chunks, none lost, none twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.nodes import Floats, Nodes
from robobrain.brain.packed import MODELS, RECORDED, SENDER_BITS
from robobrain.brain.packed_library import SpikeLog
from robobrain.brain.ranks import ranks
from robobrain.brain.selectors import PlacedPopulation, Selector, evenly_spread, select_groups
from robobrain.errors import ConfigurationError

CHUNK_MS = 600.0
"""Model time between two chunks. With what the recording side holds, it bounds what a crash can cost."""


class SpikeChunk(NamedTuple):
    """Spikes sorted by time, then by sender."""

    t_ms: Floats
    sender: NDArray[np.uint32]


class SpikeTap:
    """Records the spikes of chosen populations and hands them out in chunks, none lost, none twice.

    Packed neurons log their spikes themselves. Those of NEST need a recorder. Reading a memory recorder
    costs its whole history (70 ns per spike) and NEST refuses to clear it between ``Prepare`` and
    ``Cleanup``; so about every ``chunk_ms`` of model time it is read and cleared between the two.
    ``Prepare`` visits every neuron (1 ms at 10,000). Between the chunks a recorder costs the delivery of
    each spike, which is the time to fetch the neuron's own connection from memory: a synapse without a
    weight of its own, the smallest that NEST has, takes half of the time and three quarters of the memory.
    Nothing but memory of this process is used, so a fork continues it, prepared or not.
    """

    def __init__(
        self,
        nest: Any,
        populations: Mapping[str, PlacedPopulation],
        names: Iterable[str],
        *,
        min_delay_ms: float,
        log: SpikeLog | None = None,
        per_population: int | None = None,
        chunk_ms: float = CHUNK_MS,
    ) -> None:
        """Begin to record; call before ``nest.Prepare``.

        Args:
            nest: The NEST module.
            populations: All populations of the brain, by name.
            names: The populations to record.
            min_delay_ms: Smallest delay of the network's connections.
            log: Where the packed neurons log their spikes, if there are any.
            per_population: Record at most this many cells of each, evenly spread (each costs 24 kB).
            chunk_ms: Model time between two chunks.
        """
        if not chunk_ms > 0 or (per_population is not None and per_population < 1):
            raise ConfigurationError(
                f"chunk_ms = {chunk_ms} and per_population = {per_population} must be positive"
            )
        self._nest, self._log = nest, log
        self._chunk_ms = chunk_ms
        self._since_ms = 0.0
        self._recorder: Nodes | None = None
        self._resolution_ms = float(nest.resolution)
        self.recorded: dict[str, NDArray[np.int64]] = {}
        recorder = None
        for name in names:
            (population, ids), *_ = select_groups(Selector(population=name), populations)
            ids = ids[evenly_spread(population.size, min(population.size, per_population or population.size))]
            nodes = nest.NodeCollection(ids)
            if nodes[0].get("model") in MODELS.values():
                nodes.set({RECORDED: True})
            else:
                recorder = recorder or nest.Create("spike_recorder")
                synapse = {"synapse_model": "static_synapse_hom_w", "delay": min_delay_ms}
                nest.Connect(nodes, recorder, "all_to_all", synapse)
            self.recorded[name] = ids
        if recorder is not None:
            self._recorder = Nodes(recorder)

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
        self._since_ms = 0.0
        keys = np.concatenate([self._logged(), self._delivered()])
        keys.sort(kind="stable")  # takes a third of the time, as they come nearly in order
        steps = (keys >> SENDER_BITS).astype(np.float64)
        return SpikeChunk(steps * self._resolution_ms, keys.astype(np.uint32))

    def stop(self) -> None:
        """Record no more.

        Raises:
            ConfigurationError: Some of the neurons are NEST's own, whose recorder can't be taken away.
        """
        if self._recorder is not None:
            raise ConfigurationError(
                "only packed neurons can stop being recorded; some of this brain's are NEST's own"
            )
        for ids in self.recorded.values():
            self._nest.NodeCollection(ids).set({RECORDED: False})

    def _logged(self) -> NDArray[np.int64]:
        if self._log is None:
            return np.empty(0, dtype=np.int64)
        spikes = self._log.take()
        if ranks().size == 1:
            return spikes
        return np.concatenate(ranks().gathered(spikes) or [spikes[:0]])

    def _delivered(self) -> NDArray[np.int64]:
        """Return what the recorder has, one integer per spike: they sort ten times as fast as two keys."""
        if self._recorder is None:
            return np.empty(0, dtype=np.int64)
        self._nest.Cleanup()
        events = self._recorder.events()
        self._recorder.clear()
        self._nest.Prepare()
        keys = np.rint(np.asarray(events["times"]) / self._resolution_ms).astype(np.int64)
        keys <<= SENDER_BITS
        keys |= np.asarray(events["senders"]).astype(np.int64)
        return keys
