"""What each region does around the onset of movement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robobrain.recording.figures import data, style
from robobrain.recording.layout import FloatArray
from robobrain.recording.reader import Population, Run

BEFORE_MS, AFTER_MS, BIN_MS = 500.0, 1000.0, 20.0
MOST_TRIALS = 200
"""Of a longer run so many trials are shown, evenly spread."""
ONSET_MM = 0.5
"""A pull begins where the joystick was last below it (*assumed*: beyond what it moves at rest)."""
LONGEST_PULL_MS = 1000.0
"""Longest time from there to the start line (*assumed*)."""


def onset(run: Run) -> Figure:
    """Return peri-event histograms per region: each trial as a row, and mean with standard error.

    Aligned on the onset of movement; on the cue where no trial crossed the start line.
    """
    regions = data.populations_by_region(run)
    event, moments = alignment(run)
    if not moments or not regions or not data.has_spikes(run):
        figure = style.new_figure(2.0)
        style.say(figure.subplots(), "no trials, or no spikes recorded")
        return figure
    edges = np.arange(-BEFORE_MS, AFTER_MS + BIN_MS / 2, BIN_MS)
    rates = aligned_rates(run, list(regions.values()), moments, edges)
    figure = style.new_figure(0.95 * len(regions) + 0.8)
    grid = figure.subplots(len(regions), 2, sharex=True, squeeze=False, width_ratios=[1, 1.25])
    for index, region in enumerate(regions):
        left, right = grid[index]
        _draw_trials(left, rates[:, index], edges)
        _draw_mean(right, rates[:, index], edges, style.region_colour(region))
        left.set_ylabel(f"{region}\ntrials", color=style.region_colour(region))
        right.set_ylabel("rate (Hz)")
    grid[0, 0].set_title("single trials")
    grid[0, 1].set_title(f"mean ± standard error, n = {_numbers(known_trials(rates[:, 0]))} trials")
    for axes in grid[-1]:
        axes.set_xlabel(f"time from {event} (s)")
    figure.align_ylabels(list(grid[:, 0]))
    return figure


def alignment(run: Run) -> tuple[str, list[float]]:
    """Return what to align on, and its times in ms in at most `MOST_TRIALS` trials."""
    crossings = _moments(run.trials, "start_ms")
    if not crossings:
        return "cue", _moments(run.trials, "cue_ms")
    if "joystick_mm" not in run.streams:
        return "start line", crossings
    return "movement onset", [movement_onset_ms(run, start_ms) for start_ms in crossings]


def movement_onset_ms(run: Run, start_ms: float) -> float:
    """Return when the pull began that crossed the start line: when the joystick was last below `ONSET_MM`.

    Args:
        run: A run with the joystick's path.
        start_ms: When the start line was crossed; given back where the record has no rest before it.
    """
    t_ms, place_mm = run.array("joystick_mm", start_ms - LONGEST_PULL_MS, start_ms)
    resting = np.flatnonzero(place_mm[:, 1] < ONSET_MM)
    return float(t_ms[resting[-1]]) if len(resting) else start_ms


def _moments(trials: Sequence[dict[str, Any]], key: str) -> list[float]:
    moments = [float(trial[key]) for trial in trials if trial.get(key) is not None]
    chosen = np.linspace(0, len(moments) - 1, min(len(moments), MOST_TRIALS)).astype(int)
    return [moments[index] for index in chosen]


def aligned_rates(
    run: Run, regions: Sequence[Sequence[Population]], moments_ms: Sequence[float], edges_ms: FloatArray
) -> npt.NDArray[np.float64]:
    """Return mean rates per neuron in Hz [moments, regions, bins]; NaN where the record doesn't reach."""
    neurons = np.array([sum(p.size for p in members) for members in regions])[:, np.newaxis]
    first, last = data.spike_span_ms(run)
    rates = np.empty((len(moments_ms), len(regions), len(edges_ms) - 1))
    for trial, moment in enumerate(moments_ms):
        edges = moment + edges_ms
        rates[trial] = data.region_counts(run, regions, edges) * 1e3 / (neurons * (edges[1] - edges[0]))
        rates[trial, :, (edges[:-1] < first - 1e-6) | (edges[1:] > last + data.SAMPLE_MS)] = np.nan
    return rates


def known_trials(rates: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return of how many trials there is a rate in each bin, 0 where these are too few for their mean.

    A mean needs half of the trials and at least two, unless there is only one.

    Args:
        rates: Rates of one region [trials, bins], NaN where the record doesn't reach.
    """
    known = np.isfinite(rates).sum(axis=0)
    return np.where(known >= max(len(rates) / 2, min(len(rates), 2)), known, 0)


def _numbers(known: npt.NDArray[np.int64]) -> str:
    drawn = known[known > 0]
    least, most = (drawn.min(), drawn.max()) if len(drawn) else (0, 0)
    return f"{most}" if least == most else f"{least} to {most}"


def _draw_trials(axes: Axes, rates: npt.NDArray[np.float64], edges: FloatArray) -> None:
    top = max(float(np.nanpercentile(rates, 99)), 1e-3)
    extent = (edges[0] / 1e3, edges[-1] / 1e3, len(rates) + 0.5, 0.5)
    axes.imshow(
        rates, aspect="auto", interpolation="nearest", cmap="cividis", vmin=0, vmax=top, extent=extent
    )
    axes.axvline(0, color="white", lw=0.7)
    axes.text(1.0, 1.02, f"0 to {top:.2g} Hz", transform=axes.transAxes, ha="right", va="bottom", fontsize=6)
    axes.locator_params(axis="y", nbins=3, integer=True)


def _draw_mean(axes: Axes, rates: npt.NDArray[np.float64], edges: FloatArray, colour: str) -> None:
    known = known_trials(rates)
    centres = (edges[:-1] + edges[1:]) / 2e3
    total = np.nansum(rates, axis=0)
    mean = np.divide(total, known, out=np.full(len(total), np.nan), where=known > 0)
    squares = np.nansum((rates - mean) ** 2, axis=0)
    error = np.sqrt(np.divide(squares, known * (known - 1), out=np.zeros(len(total)), where=known > 1))
    axes.fill_between(centres, mean - error, mean + error, color=colour, alpha=0.3, lw=0)
    axes.plot(centres, mean, color=colour)
    axes.axvline(0, color="black", lw=0.6)
    axes.set_xlim(edges[0] / 1e3, edges[-1] / 1e3)
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="y", nbins=3)
