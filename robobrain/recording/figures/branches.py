"""Branches of one instant, drawn together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robobrain.recording.figures import data, style
from robobrain.recording.layout import FloatArray
from robobrain.recording.reader import Run

COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Of the conditions; the branch as recorded is black, broad and behind them."""
PAST_MS = 500.0
"""How much of the common past is drawn."""
BIN_MS = 20.0
"""Width of the bins in which spikes are counted."""
REGION = "M1"
_PATHS = (("pull", "pull (mm)"), ("lateral", "lateral (mm)"))


def branches(past: Run, continued: Mapping[str, Run], at_ms: float) -> Figure:
    """Return joystick, rate of M1 and stimulation of all branches over time, with their common past.

    The rate is counted from the spikes, so nothing is smoothed across the instant; a run without spikes has
    no such row. Grey lines mark the cues of the past and of the first branch.

    Args:
        past: The run that was continued.
        continued: The branches by name, the one without a change first.
        at_ms: The instant at which they part.
    """
    start_ms = max(0.0, at_ms - PAST_MS)
    counted = data.has_spikes(past) and REGION in data.populations_by_region(past)
    rows = 3 + counted
    figure = style.new_figure(1.25 * rows + 0.8)
    grid: list[Axes] = list(figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0])
    colours = cycle(COLOURS)
    _draw(grid, past, (start_ms, at_ms), label="common past", color=style.GREY, lw=1.2)
    for number, (name, run) in enumerate(continued.items()):
        look: dict[str, Any] = {"color": "black", "lw": 2.0, "zorder": 1.5}
        if number:
            look = {"color": next(colours), "lw": 1.0}
        _draw(grid, run, (at_ms, run.span_ms[1]), label=name, joined=past, **look)
    first = next(iter(continued.values()))
    cues_ms = {event.t_ms for run in (past, first) for event in run.events if event.name == "cue"}
    for axes in grid:
        axes.axvline(at_ms / 1e3, color="black", lw=0.6, ls=(0, (1, 1.5)))
        for cue_ms in cues_ms:
            if start_ms <= cue_ms <= (at_ms if cue_ms < at_ms else first.span_ms[1]):
                axes.axvline(cue_ms / 1e3, color=style.GREY, lw=0.6, zorder=0)
    for axes, label in zip(grid, [*(label for _, label in _PATHS), f"{REGION} rate (Hz)"], strict=False):
        axes.set_ylabel(label)
    grid[-1].set_ylabel("stimulation (sum)")
    grid[-1].set_xlabel("time of the run (s)")
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    return figure


def _draw(
    grid: Sequence[Axes],
    run: Run,
    window_ms: tuple[float, float],
    *,
    label: str,
    joined: Run | None = None,
    **look: Any,
) -> None:
    """Draw one run in all rows, its paths from where ``joined`` ends."""
    t_ms, values = run.array("joystick_mm", window_ms[0], window_ms[1] + 1e-6)
    if joined is not None:
        last_ms, last = joined.array("joystick_mm", window_ms[0] - 1.5, window_ms[0] + 1e-6)
        t_ms, values = np.concatenate([last_ms[-1:], t_ms]), np.concatenate([last[-1:], values])
    columns = run.streams["joystick_mm"].columns
    for axes, (column, _) in zip(grid, _PATHS, strict=False):
        axes.plot(t_ms / 1e3, values[:, columns.index(column)], label=label, **look)
    if len(grid) > len(_PATHS) + 1:
        _draw_rate(grid[-2], run, window_ms, **look)
    ends_ms, stimulation = run.array("stimulation", window_ms[0] + 1e-6, window_ms[1] + 1e-6)
    edges_ms = np.array([window_ms[0], *ends_ms], dtype=np.float64)
    _draw_steps(grid[-1], edges_ms, stimulation.sum(axis=1), **look)


def _draw_rate(axes: Axes, run: Run, window_ms: tuple[float, float], **look: Any) -> None:
    members = data.populations_by_region(run)[REGION]
    bins = int((window_ms[1] - window_ms[0] + 1e-6) // BIN_MS)
    neurons = sum(population.size for population in members)
    if bins:
        edges_ms = window_ms[0] + BIN_MS * np.arange(bins + 1, dtype=np.float64)
        counts = data.region_counts(run, [members], edges_ms)[0]
        _draw_steps(axes, edges_ms, counts * (1e3 / BIN_MS) / neurons, **look)


def _draw_steps(axes: Axes, edges_ms: FloatArray, values: FloatArray, **look: Any) -> None:
    axes.plot(edges_ms / 1e3, np.append(values, values[-1:]), drawstyle="steps-post", **look)
