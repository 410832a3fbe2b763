"""Which neurons an export takes, and their spikes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robobrain.errors import RecordingError
from robobrain.recording.layout import FloatArray, IdArray
from robobrain.recording.reader import Population, Run
from robobrain.seeding import generator


@dataclass(frozen=True, kw_only=True)
class Neurons:
    """Chosen neurons of each population, ids ascending."""

    ids: dict[str, IdArray]
    selection: str

    @property
    def count(self) -> int:
        """Number of neurons."""
        return sum(len(ids) for ids in self.ids.values())


def choose_neurons(run: Run, selection: str) -> Neurons:
    """Return the neurons that ``selection`` names.

    Args:
        run: The run.
        selection: "all", "none", a number of neurons per population (drawn evenly, the same in each call), or
            names of populations and regions, separated by commas.

    Raises:
        RecordingError: If a name is neither a population nor a region of the run.
    """
    populations = run.populations
    words = [word.strip() for word in selection.split(",") if word.strip()]
    if words == ["all"]:
        chosen = {name: _ids(population) for name, population in populations.items()}
    elif words == ["none"]:
        chosen = {}
    elif len(words) == 1 and words[0].isdecimal():
        chosen = {name: _some(population, int(words[0])) for name, population in populations.items()}
    else:
        regions = {population.region for population in populations.values()}
        if unknown := [word for word in words if word not in populations and word not in regions]:
            raise RecordingError(
                f"{run.path} has no population or region {', '.join(unknown)}. Regions: "
                f"{', '.join(sorted(regions)) or 'none'}. Fix: name them, give a number, 'all' or 'none'."
            )
        chosen = {name: _ids(p) for name, p in populations.items() if name in words or p.region in words}
    return Neurons(ids={name: ids for name, ids in chosen.items() if len(ids)}, selection=selection)


def _ids(population: Population) -> IdArray:
    return np.arange(population.first_id, population.first_id + population.size, dtype=np.uint32)


def _some(population: Population, count: int) -> IdArray:
    ids = _ids(population)
    drawn = generator(0, "export", population.name).permutation(len(ids))[:count]
    return np.sort(ids[drawn])


def spike_trains(run: Run, neurons: Neurons) -> dict[int, FloatArray]:
    """Return the spike times in ms of each chosen neuron, in their order, empty ones included."""
    ids = np.concatenate([*neurons.ids.values(), np.empty(0, dtype=np.uint32)])
    t_ms, sender = run.spikes()
    t_ms, sender = t_ms[np.isin(sender, ids)], sender[np.isin(sender, ids)]
    order = np.argsort(sender, kind="stable")
    t_ms, sender = t_ms[order], sender[order]
    first, last = np.searchsorted(sender, ids, "left"), np.searchsorted(sender, ids, "right")
    return {int(i): t_ms[a:b] for i, a, b in zip(ids, first, last, strict=True)}
