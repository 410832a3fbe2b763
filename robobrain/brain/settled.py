"""The settled state of a network, and the way back to it without a copy of the process.

What NEST lets one set of a neuron's state is noted once and set again: membrane potentials, conductances,
adaptation. What it does not let one set (spikes in flight, synaptic currents, refractory times) dies down in
silence first, so that nothing of the past is left. Two episodes that begin from here with one seed are equal,
whatever was run before them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.network import Network
from robobrain.brain.panel import Panel
from robobrain.brain.ranks import ranks
from robobrain.errors import BrainFault

OUT_OF_REACH_MV = 1e9
"""Threshold that no neuron reaches."""
QUICK_MS = 0.01
"""Synaptic time constant in the silence: currents that can't be set are gone in a few steps."""
SHORTEST_SILENCE_MS = 10.0
"""A thousand of these time constants."""
MOST_SILENCES = 20
"""Stretches after which the network should be silent: spikes run once through each chain of relays."""

_TIME_CONSTANTS = "tau_syn"
"""How the names of the time constants of synapses begin."""
_CONDUCTANCE = "g_"
"""How the names of conductances begin; NEST lets them be set, unlike synaptic currents."""


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Neurons of one population on this rank, and their state by variable."""

    nodes: Any
    state: dict[str, NDArray[np.float64]]
    usual: dict[str, Any]
    silent: dict[str, Any]


class Settled:
    """What a network has to be given to be as it settled."""

    def __init__(self, network: Network) -> None:
        """Note the present state; call while NEST is not prepared."""
        self._network, self._nest = network, network.nest
        self._groups = [
            group
            for population in network.spec.populations
            if (group := _noted(self._nest, network.nodes[population.name], population.model)) is not None
        ]
        self._rates = [(source, source.get("rate")) for source in network.generators]
        refractory_ms = max((float(group.usual["t_ref"]) for group in self._groups), default=0.0)
        longest_ms = max(float(self._nest.max_delay), SHORTEST_SILENCE_MS, refractory_ms)
        self._silence_ms = network.min_delay_ms * np.ceil(longest_ms / network.min_delay_ms)

    def restore(self, panel: Panel, t_ms: float) -> float:
        """Return to the noted state; the random numbers are not part of it.

        Args:
            panel: The inputs, which act no more, and outputs, which forget what they counted.
            t_ms: NEST's present time.

        Returns:
            NEST's time afterwards (ms).

        Raises:
            BrainFault: The network does not fall silent.
        """
        for source, _ in self._rates:
            source.rate = 0.0
        for group in self._groups:
            group.nodes.set(group.silent)
        panel.quieten(t_ms)
        t_ms += self._fall_silent()
        for source, rate in self._rates:
            source.rate = rate
        for group in self._groups:
            group.nodes.set(group.usual)
            group.nodes.set({name: values.tolist() for name, values in group.state.items()})
        return t_ms

    def _fall_silent(self) -> float:
        """Run until a stretch longer than the longest delay had no spike; return how long it took (ms)."""
        before = self._spikes()
        for stretch in range(1, MOST_SILENCES + 1):
            self._nest.Prepare()
            self._nest.Run(self._silence_ms)
            self._nest.Cleanup()
            after = self._spikes()
            if after == before:
                return stretch * float(self._silence_ms)
            before = after
        raise BrainFault(f"the brain did not fall silent within {MOST_SILENCES * self._silence_ms:g} ms")

    def _spikes(self) -> float:
        counted = np.array([self._nest.local_spike_counter], dtype=float)
        return float(ranks().total(counted)[0])


def _noted(nest: Any, nodes: Any, model: str) -> _Group | None:
    """Return the state of those of ``nodes`` that this rank has; None where there is nothing to set."""
    local = nodes if ranks().size == 1 else _local(nest, nodes)
    recordable = list(map(str, nest.GetDefaults(model).get("recordables", ())))
    if not recordable or local is None:
        return None
    known = local[0].get()
    variables = [name for name in recordable if name in known]
    quick = not any(name.startswith(_CONDUCTANCE) for name in variables)
    constants = [name for name in known if name.startswith(_TIME_CONSTANTS) and quick]
    usual = {name: known[name] for name in ("V_th", "t_ref", *constants)}
    return _Group(
        nodes=local,
        state={name: np.atleast_1d(np.asarray(local.get(name), dtype=float)) for name in variables},
        usual=usual,
        silent={"V_th": OUT_OF_REACH_MV} | {name: _filled(known[name]) for name in constants},
    )


def _filled(constants: Any) -> Any:
    return QUICK_MS if np.ndim(constants) == 0 else [QUICK_MS] * len(constants)


def _local(nest: Any, nodes: Any) -> Any | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that each rank gets other nodes is the point here
        local = nest.GetLocalNodeCollection(nodes)
    return local if len(local) else None
