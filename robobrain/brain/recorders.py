"""NEST's recorders of an episode: each neuron is recorded once, however many monitors want it.

Reading a recorder costs 20 to 30 ns per number (measured), most of what monitors cost. A quantity of a neuron
that several monitors sample at the same interval is therefore recorded once, by one multimeter for all of
them, and so are its spikes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.nodes import Floats, Nodes
from robobrain.brain.selectors import NodeIds
from robobrain.brain.site import Site
from robobrain.errors import BrainFault


class Sampled:
    """What one monitor sees of a multimeter: some quantities of some neurons."""

    def __init__(self, meter: _Meter, ids: NodeIds) -> None:
        self._meter, self._ids = meter, ids

    def samples(self) -> tuple[Floats, Floats]:
        """Return times [samples] and values [quantities, samples, neurons] of the last reading."""
        return self._meter.t_ms, self._meter.values[:, :, self._meter.columns(self._ids)]


class SpikesOf:
    """What one monitor sees of the spike recorder: some neurons."""

    def __init__(self, recorder: _SpikeRecorder, ids: NodeIds) -> None:
        self._recorder, self._ids = recorder, ids

    def spikes(self) -> tuple[Floats, NodeIds]:
        """Return times, ascending, and node ids of the last reading."""
        mine = np.isin(self._recorder.sender, self._ids)
        return self._recorder.t_ms[mine], self._recorder.sender[mine]


class Recorders:
    """All recorders of an episode.

    Monitors first say what they want; `connect` then makes the devices. `read` takes what they have recorded,
    and each monitor's part stays readable until the next time.
    """

    def __init__(self, site: Site, t0_ms: float) -> None:
        """Take the brain and the kernel's time at the start of the episode, from which times count."""
        self._site, self._t0_ms = site, t0_ms
        self._meters: dict[tuple[tuple[str, ...], float], _Meter] = {}
        self._spikes: _SpikeRecorder | None = None

    def sample(self, ids: NodeIds, quantities: Iterable[str], interval_ms: float) -> Sampled:
        """Ask for recordable quantities of neurons (ascending ids) at an interval."""
        wanted = tuple(quantities)
        meter = self._meters.setdefault((wanted, interval_ms), _Meter(wanted, interval_ms))
        meter.ids = np.union1d(meter.ids, ids)
        return Sampled(meter, ids)

    def spikes(self, ids: NodeIds) -> SpikesOf:
        """Ask for each spike of neurons."""
        self._spikes = self._spikes or _SpikeRecorder()
        self._spikes.ids = np.union1d(self._spikes.ids, ids)
        return SpikesOf(self._spikes, ids)

    def connect(self) -> None:
        """Make the devices; call it once, before ``nest.Prepare``."""
        for one in self._all():
            one.connect(self._site)

    def read(self) -> bool:
        """Take what was recorded since the last time; return whether there is any recorder.

        NEST is prepared before and after: it clears no recorder while it is, and an uncleared one costs its
        whole history.
        """
        recorders = self._all()
        if not recorders:
            return False
        self._site.nest.Cleanup()
        for one in recorders:
            one.read(self._t0_ms)
        self._site.nest.Prepare()
        return True

    def _all(self) -> list[_Meter | _SpikeRecorder]:
        return [*self._meters.values(), *([self._spikes] if self._spikes else [])]


class _Meter:
    """A multimeter, read as matrices."""

    def __init__(self, quantities: tuple[str, ...], interval_ms: float) -> None:
        self._quantities, self._interval_ms = quantities, interval_ms
        self.ids: NodeIds = np.zeros(0, dtype=np.int64)
        self.t_ms: Floats = np.zeros(0)
        self.values: Floats = np.zeros((len(quantities), 0, 0))
        self._node: Nodes

    def connect(self, site: Site) -> None:
        settings: dict[str, Any] = {"record_from": list(self._quantities), "interval": self._interval_ms}
        device = site.nest.Create("multimeter", params=settings)
        self._node = Nodes(device, low_level=site.low_level)
        site.listen(device, self.ids)

    def columns(self, ids: NodeIds) -> NDArray[np.intp]:
        """Return where the values of some of the neurons stand."""
        return np.searchsorted(self.ids, ids)

    def read(self, t0_ms: float) -> None:
        events = self._node.events()
        times_ms = np.asarray(events["times"], dtype=np.float64)
        samples, rest = divmod(len(times_ms), len(self.ids))
        if rest:
            raise BrainFault(f"a multimeter of {len(self.ids)} neurons has {len(times_ms)} samples")
        first_ms = float(times_ms.min()) if samples else 0.0
        self.t_ms = first_ms + self._interval_ms * np.arange(samples, dtype=np.float64) - t0_ms
        row = np.rint((times_ms - first_ms) / self._interval_ms).astype(np.intp)
        column = self.columns(np.asarray(events["senders"]))
        self.values = np.empty((len(self._quantities), samples, len(self.ids)))
        for index, name in enumerate(self._quantities):
            self.values[index, row, column] = events[name]
        self._node.clear()


class _SpikeRecorder:
    """A spike recorder; its spikes in order."""

    def __init__(self) -> None:
        self.ids: NodeIds = np.zeros(0, dtype=np.int64)
        self.t_ms: Floats = np.zeros(0)
        self.sender: NodeIds = np.zeros(0, dtype=np.int64)
        self._node: Nodes

    def connect(self, site: Site) -> None:
        device = site.nest.Create("spike_recorder")
        self._node = Nodes(device, low_level=site.low_level)
        site.tap(self.ids, device)

    def read(self, t0_ms: float) -> None:
        events = self._node.events()
        t_ms = np.asarray(events["times"], dtype=np.float64) - t0_ms
        sender = np.asarray(events["senders"], dtype=np.int64)
        order = np.lexsort((sender, t_ms))
        self.t_ms, self.sender = t_ms[order], sender[order]
        self._node.clear()
