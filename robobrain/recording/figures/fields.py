"""Fields and potentials: a stretch of each trace, and its spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robobrain.recording.figures import data, style
from robobrain.recording.layout import FloatArray
from robobrain.recording.reader import Run

SHOWN_MS = 2000.0
SEGMENT_MS = 2000.0
HIGHEST_HZ = 60.0
MOST_COLUMNS = 4
LONGEST_TITLE, LONGEST_NAME, LONGEST_ROW = 36, 24, 56
"""Characters that fit over the traces: a title, one name of the legend, all names of one row (*assumed*)."""
COLOURS = tuple(style.REGION_COLOURS.values())


def field_streams(run: Run) -> list[dict[str, Any]]:
    """Return the monitors of the run that sample at a fixed interval, as its manifest describes them."""
    histories = (run.manifest.get("brain") or {}).get("histories") or []
    return [one for one in histories if one["interval_ms"] > 0 and data.samples(run, one["name"])]


def fields(run: Run) -> Figure:
    """Return the last seconds of each field and potential beside its spectrum, the peak marked."""
    monitors = field_streams(run)
    if not monitors:
        figure = style.new_figure(2.0)
        style.say(figure.subplots(), "no fields recorded")
        return figure
    figure = style.new_figure(1.7 * len(monitors) + 0.5)
    grid = figure.subplots(len(monitors), 2, squeeze=False, sharex="col", width_ratios=(2.0, 1.0))
    for (left, right), monitor in zip(grid, monitors, strict=True):
        trace = data.samples(run, monitor["name"])
        assert trace is not None
        _draw(left, right, monitor, trace, run)
        for axes in (left, right):
            axes.tick_params(labelbottom=True)
    grid[-1, 0].set_xlabel("session time (s)")
    grid[-1, 1].set_xlabel("frequency (Hz)")
    return figure


def spectrum(t_ms: FloatArray, values: FloatArray, interval_ms: float) -> tuple[FloatArray, FloatArray]:
    """Return frequencies (Hz) and power density of a trace, averaged over half-overlapping segments.

    Segments of `SEGMENT_MS`, or of the longest stretch without a gap where that is shorter, are weighted by a
    Hann window after their mean was taken off. Gaps in time (between episodes) are not bridged.

    Args:
        t_ms: Times [n].
        values: Values [n].
        interval_ms: Time between samples.
    """
    breaks = np.flatnonzero(np.diff(t_ms) > 1.5 * interval_ms) + 1
    longest = int(np.diff([0, *breaks, len(t_ms)]).max())
    length = min(longest, round(SEGMENT_MS / interval_ms))
    window = np.hanning(length)
    starts = range(0, len(values) - length + 1, max(1, length // 2))
    whole = [s for s in starts if t_ms[s + length - 1] - t_ms[s] < (length - 0.5) * interval_ms]
    frequency_hz: FloatArray = np.fft.rfftfreq(length, interval_ms / 1e3).astype(np.float64)
    if not whole:
        return frequency_hz, np.zeros_like(frequency_hz)
    segments = np.stack([values[s : s + length] for s in whole])
    centred = (segments - segments.mean(axis=1, keepdims=True)) * window
    power = (np.abs(np.fft.rfft(centred, axis=1)) ** 2).mean(axis=0)
    return frequency_hz, 2.0 * power * interval_ms / 1e3 / (window**2).sum()


def peak_hz(frequency_hz: FloatArray, power: FloatArray, lowest_hz: float = 2.0) -> float:
    """Return the frequency of the largest power from ``lowest_hz`` up."""
    chosen = frequency_hz >= lowest_hz
    return float(frequency_hz[chosen][np.argmax(power[chosen])])


def source_name(run: Run, column: str) -> str:
    """Return what a column of a monitor stands for: a group's own name, or a neuron's population and id."""
    if not column.isdecimal():
        return column
    neuron = int(column)
    held = (p for p in run.populations.values() if p.first_id <= neuron < p.first_id + p.size)
    return f"{next((p.name.replace('_', ' ') for p in held), 'neuron')}, id {neuron}"


def peaks_text(peaks_hz: Sequence[float]) -> str:
    """Return where spectra peak, for a title: one frequency, or the lowest and the highest."""
    shown = sorted(dict.fromkeys(f"{peak:.1f}" for peak in peaks_hz), key=float)
    if not shown:
        return "no power"
    return f"peak at {shown[0]} Hz" if len(shown) == 1 else f"peaks at {shown[0]} to {shown[-1]} Hz"


def _draw(left: Axes, right: Axes, monitor: dict[str, Any], trace: data.Samples, run: Run) -> None:
    t_ms, values = trace
    shown = t_ms >= t_ms[-1] - SHOWN_MS
    columns, peaks = monitor["columns"][:MOST_COLUMNS], []
    for index, column in enumerate(columns):
        colour = style.REGION_COLOURS.get(column, COLOURS[index % len(COLOURS)])
        t, value = data.thinned(t_ms[shown], values[shown, index])
        left.plot(t / 1e3, value, color=colour, lw=0.7, label=_name(run, column))
        frequency_hz, power = spectrum(t_ms, values[:, index], monitor["interval_ms"])
        inside = (frequency_hz > 0) & (frequency_hz <= HIGHEST_HZ)
        right.semilogy(frequency_hz[inside], power[inside], color=colour, lw=0.8)
        if power.any():
            peaks.append(peak_hz(frequency_hz[inside], power[inside]))
            right.axvline(peaks[-1], color=colour, lw=0.6, ls=(0, (1, 1.5)), zorder=0.5)
    part = f", {len(columns)} of {len(monitor['columns'])}" if len(columns) < len(monitor["columns"]) else ""
    left.set_title(style.clipped(monitor["name"], LONGEST_TITLE) + part)
    right.set_title(peaks_text(peaks))
    left.set_ylabel(f"signal ({monitor['unit']})")
    left.yaxis.set_major_formatter("{x:,.10g}")
    right.set_ylabel(f"power ({monitor['unit']}²/Hz)")
    _add_legend(left)


def _name(run: Run, column: str) -> str:
    return style.clipped(source_name(run, column), LONGEST_NAME)


def _add_legend(axes: Axes) -> None:
    """Add the legend in one row, or in two where the names are long, in room of its own above the traces."""
    labels = axes.get_legend_handles_labels()[1]
    rows = 1 if sum(map(len, labels)) <= LONGEST_ROW else 2
    low, high = axes.get_ylim()
    axes.set_ylim(top=high + 0.17 * rows * (high - low))
    axes.legend(loc="upper left", ncols=-(-len(labels) // rows))
