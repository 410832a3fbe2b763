"""The histories of monitors, made of what an episode's recorders have read: none lost, none twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from robobrain.brain.histories import LFP_ALPHA, LFP_DELAY_MS, FieldOutputMonitor, FieldSignal, VoltageMonitor
from robobrain.brain.inspection import membranes
from robobrain.brain.monitors import DirectOutputMonitor
from robobrain.brain.nodes import Floats
from robobrain.brain.outputs import pooled
from robobrain.brain.recorders import Recorders, Sampled
from robobrain.brain.selectors import NodeIds, Selector
from robobrain.brain.site import Site
from robobrain.errors import ConfigurationError


class SampleChunk(NamedTuple):
    """Samples of one monitor: times since the start of the episode [n], values [n, columns]."""

    monitor: str
    t_ms: Floats
    values: Floats


class Tap(Protocol):
    """A monitor's history."""

    def take(self) -> SampleChunk:
        """Return the samples of the recorders' last reading; call it once for each."""


class VoltageTap:
    """The membrane potential of each neuron."""

    def __init__(self, site: Site, monitor: VoltageMonitor, recorders: Recorders) -> None:
        self._name = monitor.name
        ids = membranes(monitor.name, monitor.targets, site)
        self._sampled = recorders.sample(ids, ["V_m"], monitor.interval_ms)

    def take(self) -> SampleChunk:
        """Return time and potentials."""
        t_ms, values = self._sampled.samples()
        return SampleChunk(monitor=self._name, t_ms=t_ms, values=values[0])


def check_signal(site: Site, monitor: FieldOutputMonitor) -> None:
    """Refuse a signal that the monitor's neurons do not tell.

    Raises:
        ConfigurationError: A quantity that the signal is made of can't be recorded from some of them.
    """
    for pool in monitor.groups.values():
        _neurons_by_quantities(site, monitor, pool)


class FieldTap:
    """A sum over each group of neurons."""

    def __init__(self, site: Site, monitor: FieldOutputMonitor, recorders: Recorders) -> None:
        self._name = monitor.name
        if monitor.signal is FieldSignal.LFP:
            self._lag = round(LFP_DELAY_MS / monitor.interval_ms)
        else:
            self._lag = 0
        self._groups = [_Group(site, monitor, pool, recorders) for pool in monitor.groups.values()]
        self._waiting = np.zeros((0, len(self._groups)))

    def take(self) -> SampleChunk:
        """Return time and sums; those of the LFP begin when the delayed currents are known."""
        sums = [group.take() for group in self._groups]
        t_ms = sums[0][0]
        prompt = np.stack([prompt for _, prompt, _ in sums], axis=1)
        if not self._lag:
            return SampleChunk(monitor=self._name, t_ms=t_ms, values=prompt)
        delayed = np.concatenate([self._waiting, np.stack([delayed for _, _, delayed in sums], axis=1)])
        late = len(delayed) - len(t_ms)
        ready = max(len(delayed) - self._lag, 0)
        first = self._lag - late
        self._waiting = delayed[ready:]
        return SampleChunk(monitor=self._name, t_ms=t_ms[first:], values=prompt[first:] + delayed[:ready])


class SpikeTimesTap:
    """Each spike of the chosen neurons."""

    def __init__(self, site: Site, monitor: DirectOutputMonitor, recorders: Recorders) -> None:
        self._name = monitor.name
        cells = pooled([selector for pool in monitor.channels.values() for selector in pool], site)
        self._spikes = recorders.spikes(cells)

    def take(self) -> SampleChunk:
        """Return times, ascending, and node ids."""
        t_ms, sender = self._spikes.spikes()
        return SampleChunk(monitor=self._name, t_ms=t_ms, values=sender[:, np.newaxis].astype(np.float64))


class _Group:
    """Prompt and delayed part of the sum over one group, by the quantities that its neurons have."""

    def __init__(
        self, site: Site, monitor: FieldOutputMonitor, pool: Sequence[Selector], recorders: Recorders
    ) -> None:
        self._parts: list[tuple[Sampled, list[_Quantity]]] = []
        for members, quantities in _neurons_by_quantities(site, monitor, pool):
            names = [quantity.name for quantity in quantities]
            self._parts.append((recorders.sample(members, names, monitor.interval_ms), quantities))

    def take(self) -> tuple[Floats, Floats, Floats]:
        """Return times, prompt sums and delayed sums, shape ``[samples]`` each."""
        prompt = delayed = t_ms = np.zeros(0)
        for index, (sampled, quantities) in enumerate(self._parts):
            t_ms, samples = sampled.samples()
            if index == 0:
                prompt, delayed = np.zeros(len(t_ms)), np.zeros(len(t_ms))
            for quantity, values in zip(quantities, samples, strict=True):
                (delayed if quantity.delayed else prompt)[:] += quantity.factor * values.sum(axis=1)
        return t_ms, prompt, delayed


class _Quantity(NamedTuple):
    """A recorded quantity, its factor in a sum, and whether the delay of the LFP's proxy applies."""

    name: str
    factor: float
    delayed: bool


def _neurons_by_quantities(
    site: Site, monitor: FieldOutputMonitor, pool: Sequence[Selector]
) -> list[tuple[NodeIds, list[_Quantity]]]:
    """Return a group's neurons by the quantities that make up the monitor's signal in them."""
    ids = membranes(monitor.name, pool, site)
    return [(members, _quantities(monitor, recordable)) for members, recordable in _by_recordables(site, ids)]


def _by_recordables(site: Site, ids: NodeIds) -> list[tuple[NodeIds, frozenset[str]]]:
    """Return the neurons in groups of the same recordable quantities."""
    models = np.atleast_1d(np.asarray(site.nest.NodeCollection(ids).get("model"), dtype=object))
    kinds: dict[frozenset[str], list[NodeIds]] = {}
    for model in dict.fromkeys(models.tolist()):
        recordable = frozenset(map(str, site.nest.GetDefaults(model)["recordables"]))
        kinds.setdefault(recordable, []).append(ids[models == model])
    return [(np.sort(np.concatenate(members)), recordable) for recordable, members in kinds.items()]


def _quantities(monitor: FieldOutputMonitor, recordable: frozenset[str]) -> list[_Quantity]:
    """Return the quantities that make up a signal."""
    match monitor.signal:
        case FieldSignal.POTENTIAL:
            wanted = [_Quantity("V_m", 1.0, False)]
        case FieldSignal.LFP:
            wanted = [_Quantity("I_syn_ex", 1.0, True), _Quantity("I_syn_in", -LFP_ALPHA, False)]
        case FieldSignal.CURRENT if "I_syn" in recordable:
            wanted = [_Quantity("I_syn", 1.0, False)]
        case _:
            wanted = [_Quantity("I_syn_ex", 1.0, False), _Quantity("I_syn_in", 1.0, False)]
    missing = [quantity.name for quantity in wanted if quantity.name not in recordable]
    if missing:
        raise ConfigurationError(
            f"monitor {monitor.name}: some of its neurons do not tell {', '.join(missing)}, only "
            f"{', '.join(sorted(recordable))}; choose other cells or another signal"
        )
    return wanted
