"""Rhythms of the regions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from robobrain.recording.figures import data, style
from robobrain.recording.layout import FloatArray
from robobrain.recording.reader import Population, Run

WINDOW_MS = 1000
"""Length of the windows whose spectra are averaged: a resolution of 1 Hz (1.5 Hz with the Hann taper)."""
HIGHEST_HZ = 200.0
BANDS_HZ = {"θ": (4, 12), "β": (13, 30), "γ": (30, 80)}
BAND_ALPHAS = {"θ": 0.12, "β": 0.24, "γ": 0.12}
"""Bands that touch differ in shade, so that their edge shows."""


def spectrum(run: Run) -> Figure:
    """Return the power spectrum of each region's rate, beside what independent neurons would give."""
    regions = data.populations_by_region(run)
    first, last = data.spike_span_ms(run)
    if not regions or last - first < WINDOW_MS or not data.has_spikes(run):
        figure = style.new_figure(2.0)
        style.say(figure.subplots(), "too short a record, or no spikes recorded")
        return figure
    frequency_hz, power, rate_hz = region_spectra(run, list(regions.values()))
    columns = 4
    rows = -(-len(regions) // columns)
    figure = style.new_figure(1.75 * rows + 0.5)
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for axes in grid.flat[len(regions) :]:
        axes.set_visible(False)
    shown = (frequency_hz >= 1) & (frequency_hz <= HIGHEST_HZ)
    for index, (axes, (region, members)) in enumerate(zip(grid.flat, regions.items(), strict=False)):
        colour = style.region_colour(region)
        axes.set_title(f"{region}, mean {rate_hz[index]:.2g} Hz", color=colour)
        if rate_hz[index] == 0.0:  # a lesioned one, for instance
            style.say(axes, "silent")
            continue
        neurons = sum(p.size for p in members)
        axes.loglog(frequency_hz[shown], power[index, shown], color=colour)
        axes.axhline(2 * rate_hz[index] / neurons, color="black", lw=0.7, ls=(0, (1, 1.5)))
        for name, (low, high) in BANDS_HZ.items():
            axes.axvspan(low, high, color=style.GREY, alpha=BAND_ALPHAS[name], lw=0)
            axes.text(np.sqrt(low * high), 0.97, name, transform=axes.get_xaxis_transform(), ha="center",
                      va="top", color="black", alpha=0.6)  # fmt: skip
        axes.set_xlim(1, HIGHEST_HZ)
        axes.set_ylim(*_decades([*power[index, shown], 2 * rate_hz[index] / neurons]))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.tick_params(labelbottom=True)
    figure.supylabel("power of the mean rate per neuron (Hz²/Hz)", fontsize=7.5)
    figure.supxlabel(
        f"frequency (Hz); mean of windows of {WINDOW_MS / 1e3:g} s; dotted: independent Poisson neurons",
        fontsize=7.5,
    )
    return figure


def _decades(values: Sequence[float]) -> tuple[float, float]:
    """Return the powers of ten that hold all positive values."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = np.floor(np.log10(min(positive))), np.ceil(np.log10(max(positive)))
    return 10.0**low, 10.0 ** max(high, low + 1)


def region_spectra(
    run: Run, regions: Sequence[Sequence[Population]]
) -> tuple[FloatArray, npt.NDArray[np.float64], FloatArray]:
    """Return frequencies in Hz, one-sided power in Hz²/Hz [regions, frequencies], mean rates in Hz [regions].

    Welch's method on the mean rate per neuron in bins of 1 ms: Hann windows of `WINDOW_MS` that overlap by a
    half, their means taken off.
    """
    first, last = data.spike_span_ms(run)
    neurons = np.array([sum(p.size for p in members) for members in regions])[:, np.newaxis]
    taper = np.hanning(WINDOW_MS + 1)[:-1]
    scale = 2.0 / (1e3 * (taper**2).sum())
    power = np.zeros((len(regions), WINDOW_MS // 2 + 1))
    spikes = np.zeros(len(regions))
    windows = 0
    half = WINDOW_MS // 2
    chunk = int(data.READ_MS) // WINDOW_MS * WINDOW_MS
    for start in np.arange(first, last - WINDOW_MS, chunk - half):
        stop = min(start + chunk, last)
        edges = start + np.arange(int(stop - start) + 1.0)
        rate_hz = data.region_counts(run, regions, edges) * 1e3 / neurons
        for left in range(0, rate_hz.shape[1] - WINDOW_MS + 1, half):
            part = rate_hz[:, left : left + WINDOW_MS]
            centred = part - part.mean(axis=1, keepdims=True)
            power += scale * np.abs(np.fft.rfft(centred * taper, axis=1)) ** 2
            spikes += part.mean(axis=1)
            windows += 1
    count = max(windows, 1)
    frequency_hz = np.arange(half + 1) * 1e3 / WINDOW_MS
    return frequency_hz, power / count, spikes / count
