"""From counted spikes to the values of the output ports."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.counters import make_counters
from robobrain.brain.monitors import DirectOutputMonitor, Readout, SpikeTimesDecoder
from robobrain.brain.nodes import Floats
from robobrain.brain.selectors import NodeIds, Selector, select
from robobrain.brain.site import Site

_NONE = np.zeros(0, dtype=np.float32)


class Outputs:
    """Counts of the spikes of each channel, and the filters that turn counts into values.

    Attributes:
        counted: Spikes that each channel has counted since the network was built, up to the last reading.
    """

    def __init__(self, site: Site, monitors: Sequence[DirectOutputMonitor]) -> None:
        """Create and connect the counters; errors as in `robobrain.brain.panel.Panel.build`."""
        counting = [monitor for monitor in monitors if not isinstance(monitor.decoder, SpikeTimesDecoder)]
        channels = [(monitor, pool) for monitor in counting for pool in monitor.channels.values()]
        cells = [pooled(pool, site) for _, pool in channels]
        self.counted = self._first = np.zeros(len(channels))
        self._readout = Readout([monitor.decoder for monitor, _ in channels], [len(ids) for ids in cells])
        self._mixing = _mixing(counting)
        self.size = sum(len(monitor.values) for monitor in counting)
        self._counters = make_counters(site, cells) if cells else None

    def read(self, exchange_ms: float) -> NDArray[np.float32]:
        """Return the values at the end of an exchange."""
        if self._counters is None:
            return _NONE
        return self._mixed(self._readout.advance(self._new_counts(), exchange_ms))

    def begin(self, span_ms: float | None) -> NDArray[np.float32]:
        """Forget the past; return the values of the steady state of the last ``span_ms``, or zeros."""
        self._first = self._new_counts()
        self._readout.clear()
        if span_ms is None:
            return np.zeros(self.size, dtype=np.float32)
        return self._mixed(self._readout.settle(self._first, span_ms))

    def begin_again(self, span_ms: float) -> NDArray[np.float32]:
        """Forget the past; return the values that `begin` returned for ``span_ms``."""
        self._new_counts()
        return self._mixed(self._readout.settle(self._first, span_ms))

    def _mixed(self, values: Floats) -> NDArray[np.float32]:
        return (values if self._mixing is None else self._mixing @ values).astype(np.float32)

    def _new_counts(self) -> Floats:
        if self._counters is None:
            return self.counted
        new = self._counters.new()
        self.counted = self.counted + new
        return new


def pooled(selectors: Sequence[Selector], site: Site) -> NodeIds:
    """Return the ids of all selectors, each once, ascending."""
    return np.unique(np.concatenate([select(selector, site.populations) for selector in selectors]))


def _mixing(monitors: Sequence[DirectOutputMonitor]) -> Floats | None:
    """Return what each channel adds to each value, ``[values, channels]``; None where they are the same."""
    if all(monitor.values == tuple(monitor.channels) for monitor in monitors):
        return None
    parts = [monitor.mixing for monitor in monitors]
    whole = np.zeros((sum(part.shape[0] for part in parts), sum(part.shape[1] for part in parts)))
    row = column = 0
    for part in parts:
        rows, columns = part.shape
        whole[row : row + rows, column : column + columns] = part
        row, column = row + rows, column + columns
    return whole
