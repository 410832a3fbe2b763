"""Resting state: firing rate of every population beside the range where it should lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.network import Network
from robobrain.brain.rows import TargetRow
from robobrain.brain.selectors import evenly_spread
from robobrain.brain.tables import BrainTables

TOLERANCE = 2.0
"""A rate above this multiple of its range's upper end, or no spike at all, fails the resting state."""


LARGEST_SAMPLE = 2_000
"""Cells per population that are recorded; a recorded cell takes 24-32 kB."""


class RateMeter:
    """Counts the spikes of every population over spans of simulation.

    It connects up to ``LARGEST_SAMPLE`` neurons of each population, evenly spread, to a spike recorder, so it
    is for measurements and not for the loop. Create it before the network has run.

    Attributes:
        cells: NEST ids of the recorded cells of each population.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._recorder = network.nest.Create("spike_recorder")
        self._times: NDArray[np.float64] = np.array([])
        self._senders: NDArray[np.int64] = np.array([], dtype=np.int64)
        self._first: NDArray[np.int64] = np.array([], dtype=np.int64)
        self.cells: dict[str, NDArray[np.int64]] = {}
        for name, nodes in network.nodes.items():
            sample = evenly_spread(len(nodes), min(len(nodes), LARGEST_SAMPLE))
            self.cells[name] = network.populations[name].first_id + sample
            recorded = nodes if len(sample) == len(nodes) else nodes[sample.tolist()]
            network.nest.Connect(recorded, self._recorder, syn_spec={"delay": network.spec.resolution_ms * 2})

    def trains(self, population: str, cells: int) -> list[NDArray[np.float64]]:
        """Return the spike times (ms of the kernel's clock) of up to ``cells`` cells in the last span."""
        recorded = self.cells[population]
        chosen = recorded[evenly_spread(len(recorded), min(cells, len(recorded)))]
        return [self._times[self._first[cell] : self._first[cell + 1]] for cell in chosen]

    def events(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return sender and time (ms of the kernel's clock) of every spike of the last span, by sender."""
        return self._senders, self._times

    def run(self, duration_ms: float) -> dict[str, float]:
        """Simulate ``duration_ms`` and return the mean rate of each population in that span (Hz)."""
        self._recorder.n_events = 0
        self._network.nest.Simulate(duration_ms)
        events = self._recorder.events
        senders, times_ms = np.asarray(events["senders"]), np.asarray(events["times"])
        order = np.argsort(senders, kind="stable")
        self._senders, self._times = senders[order], times_ms[order]
        last = max(p.first_id + p.size for p in self._network.populations.values())
        self._first = np.searchsorted(self._senders, np.arange(last + 1))
        return {
            name: float((self._first[cells + 1] - self._first[cells]).sum() / len(cells) / duration_ms * 1e3)
            for name, cells in self.cells.items()
        }


@dataclass(frozen=True, kw_only=True)
class RestingRate:
    """Resting rate of one population and the range that applies to it."""

    population: str
    region: str
    rate_hz: float
    target: TargetRow

    @property
    def range_hz(self) -> tuple[float, float]:
        """The literature's range where verified in the text of its source, else the range of the tuning."""
        target = self.target
        if target.verified and target.literature_low_hz is not None and target.literature_high_hz is not None:
            return target.literature_low_hz, target.literature_high_hz
        return target.low_hz, target.high_hz

    @property
    def verdict(self) -> str:
        """``in range``, ``low``, ``high``, or, where the resting state fails, ``SILENT`` or ``RUNAWAY``."""
        low, high = self.range_hz
        if self.rate_hz == 0:
            return "SILENT"
        if self.rate_hz > TOLERANCE * high:
            return "RUNAWAY"
        return "low" if self.rate_hz < low else "high" if self.rate_hz > high else "in range"

    @property
    def holds(self) -> bool:
        """Whether the population is neither silent nor far above its range."""
        return self.verdict not in ("SILENT", "RUNAWAY")


def measure_rest(network: Network, tables: BrainTables, duration_ms: float) -> list[RestingRate]:
    """Settle the network, simulate ``duration_ms``, and return the rate of each population."""
    meter = RateMeter(network)
    network.nest.Simulate(network.spec.settle_ms)
    return resting_rates(network, tables, meter.run(duration_ms))


def resting_rates(network: Network, tables: BrainTables, rates: Mapping[str, float]) -> list[RestingRate]:
    """Put measured rates beside their targets."""
    return [
        RestingRate(
            population=name,
            region=network.populations[name].region,
            rate_hz=rate,
            target=tables.targets[name],
        )
        for name, rate in rates.items()
    ]


def by_region(rates: list[RestingRate]) -> Iterator[tuple[str, list[RestingRate]]]:
    """Group rates by region, in the order of the tables."""
    for region in dict.fromkeys(rate.region for rate in rates):
        yield region, [rate for rate in rates if rate.region == region]
