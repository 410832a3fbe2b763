"""Statistics of the resting state, with the field's library Elephant: irregularity, correlation, spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robobrain.errors import ConfigurationError

try:
    import neo
    import quantities as pq
    from elephant.conversion import BinnedSpikeTrain
    from elephant.spectral import welch_psd
    from elephant.spike_train_correlation import correlation_coefficient
    from elephant.statistics import cv, isi
except ImportError as error:
    raise ConfigurationError(
        "Statistics of spike trains need Elephant: pip install 'robobrain[analysis]'."
    ) from error

Trains = Sequence[NDArray[np.float64]]

SPIKES_MIN = 5
"""Cells with fewer spikes have no coefficient of variation."""
CORRELATION_BIN_MS = 5.0
CORRELATION_CELLS = 100
COUNT_BIN_MS = 2.0
BAND_HZ = (3.0, 150.0)
"""Where a spectral peak is looked for."""
SEGMENT_HZ = 1.0
"""Resolution of the spectrum."""


@dataclass(frozen=True, kw_only=True)
class SpikeStatistics:
    """Statistics of one population in one span. NaN where there are too few spikes to say.

    Attributes:
        rate_sd_hz: Standard deviation of the rate over cells.
        cv_isi: Mean coefficient of variation of inter-spike intervals, over cells with 5 spikes or more.
        correlation: Mean Pearson correlation of spike counts in bins of 5 ms, over pairs of up to 100 cells.
        peak_hz: Frequency of the largest peak of the spectrum of the population's count.
        peak: Height of this peak, in units of the level of independent Poisson trains of the same rate.
    """

    rate_sd_hz: float
    cv_isi: float
    correlation: float
    peak_hz: float
    peak: float


def spike_statistics(trains: Trains, start_ms: float, stop_ms: float) -> SpikeStatistics:
    """Return the statistics of the spike times (ms) of some cells between ``start_ms`` and ``stop_ms``."""
    trains = [times[times < stop_ms] for times in trains]  # Elephant's bins leave out the last instant
    rates_hz = np.array([len(times) for times in trains]) / (stop_ms - start_ms) * 1e3
    peak_hz, peak = _spectral_peak(np.concatenate(trains), start_ms, stop_ms)
    return SpikeStatistics(
        rate_sd_hz=float(rates_hz.std()),
        cv_isi=_irregularity(trains),
        correlation=_correlation([times for times in trains if len(times)], start_ms, stop_ms),
        peak_hz=peak_hz,
        peak=peak,
    )


def average(statistics: Sequence[SpikeStatistics]) -> SpikeStatistics:
    """Return the mean over several spans (seeds); spans that say nothing are left out."""

    def mean(name: str) -> float:
        values = np.array([getattr(one, name) for one in statistics])
        known = values[np.isfinite(values)]
        return float(known.mean()) if known.size else float("nan")

    return SpikeStatistics(**{name: mean(name) for name in SpikeStatistics.__dataclass_fields__})


def _irregularity(trains: Trains) -> float:
    values = [float(cv(isi(np.sort(times)))) for times in trains if len(times) >= SPIKES_MIN]
    return float(np.mean(values)) if values else float("nan")


def _correlation(trains: Trains, start_ms: float, stop_ms: float) -> float:
    if len(trains) < 2:
        return float("nan")
    chosen = trains[:: max(1, len(trains) // CORRELATION_CELLS)][:CORRELATION_CELLS]
    spike_trains = [
        neo.SpikeTrain(np.sort(times) * pq.ms, t_start=start_ms * pq.ms, t_stop=stop_ms * pq.ms)
        for times in chosen
    ]
    binned = BinnedSpikeTrain(spike_trains, bin_size=CORRELATION_BIN_MS * pq.ms, tolerance=1e-6)
    matrix = np.asarray(correlation_coefficient(binned))
    return float(np.nanmean(matrix[~np.eye(len(matrix), dtype=bool)]))


def _spectral_peak(times_ms: NDArray[np.float64], start_ms: float, stop_ms: float) -> tuple[float, float]:
    bins = round((stop_ms - start_ms) / COUNT_BIN_MS)
    counts, _ = np.histogram(times_ms, bins=bins, range=(start_ms, stop_ms))
    if not counts.sum() or (stop_ms - start_ms) * 1e-3 * SEGMENT_HZ < 2:
        return float("nan"), float("nan")
    signal = neo.AnalogSignal(
        counts[:, None].astype(float), units="dimensionless", sampling_period=COUNT_BIN_MS * pq.ms
    )
    frequency, power = welch_psd(signal, frequency_resolution=SEGMENT_HZ * pq.Hz)
    frequency_hz = np.asarray(frequency.rescale("Hz").magnitude)
    # The count of independent Poisson trains is white: its one-sided density is twice mean times bin width.
    ratio = np.asarray(power.magnitude).ravel() / (2 * counts.mean() * COUNT_BIN_MS * 1e-3)
    inside = (frequency_hz >= BAND_HZ[0]) & (frequency_hz <= BAND_HZ[1])
    top = int(np.argmax(np.where(inside, ratio, -np.inf)))
    return float(frequency_hz[top]), float(ratio[top])
