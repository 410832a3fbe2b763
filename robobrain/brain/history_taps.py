"""Multimeters and recorders behind the histories: read and cleared in chunks, none lost, none twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from robobrain.brain.histories import LFP_ALPHA, LFP_DELAY_MS, FieldOutputMonitor, FieldSignal, VoltageMonitor
from robobrain.brain.inspection import membranes
from robobrain.brain.monitors import DirectOutputMonitor
from robobrain.brain.nodes import Floats, Nodes
from robobrain.brain.outputs import pooled
from robobrain.brain.selectors import NodeIds, Selector
from robobrain.brain.site import Site
from robobrain.errors import ConfigurationError


class SampleChunk(NamedTuple):
    """Samples of one monitor: times since the start of the episode [n], values [n, columns]."""

    monitor: str
    t_ms: Floats
    values: Floats


class Tap(Protocol):
    """Something that collects samples in NEST."""

    def take(self) -> SampleChunk:
        """Return the samples since the last call and clear them; call it while NEST is not prepared."""


class VoltageTap:
    """The membrane potential of each neuron."""

    def __init__(self, site: Site, monitor: VoltageMonitor, t0_ms: float) -> None:
        self._name = monitor.name
        ids = membranes(monitor.name, monitor.targets, site)
        self._meter = _Meter(site, ids, ["V_m"], monitor.interval_ms, t0_ms)

    def take(self) -> SampleChunk:
        """Return time and potentials."""
        t_ms, samples = self._meter.take()
        return SampleChunk(monitor=self._name, t_ms=t_ms, values=samples[0])


class FieldTap:
    """A sum over each group of neurons."""

    def __init__(self, site: Site, monitor: FieldOutputMonitor, t0_ms: float) -> None:
        self._name = monitor.name
        if monitor.signal is FieldSignal.LFP:
            self._lag = round(LFP_DELAY_MS / monitor.interval_ms)
        else:
            self._lag = 0
        self._groups = [_Group(site, monitor, pool, t0_ms) for pool in monitor.groups.values()]
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

    def __init__(self, site: Site, monitor: DirectOutputMonitor, t0_ms: float) -> None:
        self._name, self._t0_ms = monitor.name, t0_ms
        device = site.nest.Create("spike_recorder")
        self._node = Nodes(device, low_level=site.low_level)
        ids = pooled([selector for pool in monitor.channels.values() for selector in pool], site)
        site.tap(ids, device)

    def take(self) -> SampleChunk:
        """Return times, ascending, and node ids."""
        events = self._node.events()
        t_ms = np.asarray(events["times"], dtype=np.float64) - self._t0_ms
        sender = np.asarray(events["senders"], dtype=np.float64)
        self._node.clear()
        order = np.lexsort((sender, t_ms))
        return SampleChunk(monitor=self._name, t_ms=t_ms[order], values=sender[order, np.newaxis])


class _Group:
    """Prompt and delayed part of the sum over one group, by the quantities that its neurons have."""

    def __init__(
        self, site: Site, monitor: FieldOutputMonitor, pool: Sequence[Selector], t0_ms: float
    ) -> None:
        ids = membranes(monitor.name, pool, site)
        self._parts: list[tuple[_Meter, list[_Quantity]]] = []
        for members, recordable in _by_recordables(site, ids):
            quantities = _quantities(monitor, recordable)
            names = [quantity.name for quantity in quantities]
            self._parts.append((_Meter(site, members, names, monitor.interval_ms, t0_ms), quantities))

    def take(self) -> tuple[Floats, Floats, Floats]:
        """Return times, prompt sums and delayed sums, shape ``[samples]`` each."""
        prompt = delayed = t_ms = np.zeros(0)
        for index, (meter, quantities) in enumerate(self._parts):
            t_ms, samples = meter.take()
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


class _Meter:
    """Recorded quantities of some neurons as matrices."""

    def __init__(
        self, site: Site, ids: NodeIds, quantities: Sequence[str], interval_ms: float, t0_ms: float
    ) -> None:
        self._quantities, self._interval_ms, self._t0_ms = quantities, interval_ms, t0_ms
        self._cells, self._first_id = len(ids), int(ids[0])
        self._column = np.zeros(int(ids[-1]) - self._first_id + 1, dtype=np.intp)
        self._column[ids - self._first_id] = np.arange(len(ids))
        settings: dict[str, Any] = {"record_from": list(quantities), "interval": interval_ms}
        device = site.nest.Create("multimeter", params=settings)
        self._node = Nodes(device, low_level=site.low_level)
        site.listen(device, ids)

    def take(self) -> tuple[Floats, Floats]:
        """Return times [samples] and values [quantities, samples, neurons], neurons ascending by id."""
        events = self._node.events()
        t_ms = np.asarray(events["times"], dtype=np.float64)
        samples = np.zeros((len(self._quantities), len(t_ms) // self._cells, self._cells))
        if len(t_ms):
            row = np.rint((t_ms - t_ms.min()) / self._interval_ms).astype(np.intp)
            column = self._column[np.asarray(events["senders"]) - self._first_id]
            for index, name in enumerate(self._quantities):
                samples[index, row, column] = events[name]
            t_ms = t_ms.min() + self._interval_ms * np.arange(samples.shape[1])
        self._node.clear()
        return t_ms - self._t0_ms, samples


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
