"""Branches of one instant, drawn together."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from robobrain.recording.figures import style
from robobrain.recording.layout import FloatArray
from robobrain.recording.reader import Run

COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
PAST_MS = 500.0
"""How much of the common past is drawn."""
_ROWS = (
    ("joystick_mm", "pull", "pull (mm)"),
    ("joystick_mm", "lateral", "lateral (mm)"),
    ("region_rate_hz", "M1", "M1 rate (Hz)"),
    ("stimulation", "", "stimulation (sum)"),
)


def branches(past: Run, continued: Mapping[str, Run], at_ms: float) -> Figure:
    """Return joystick, rate of M1 and stimulation of all branches over time, with their common past.

    Args:
        past: The run that was continued.
        continued: The branches by name.
        at_ms: The instant at which they part.
    """
    rows = [row for row in _ROWS if row[0] in past.streams]
    figure = style.new_figure(1.25 * len(rows) + 0.8)
    grid = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (stream, column, label) in zip(grid, rows, strict=True):
        window_ms = (max(0.0, at_ms - PAST_MS), at_ms + 1e-6)
        axes.plot(*_course(past, stream, column, window_ms), color=style.GREY, label="past")
        for number, (name, run) in enumerate(continued.items()):
            colour = COLOURS[number % len(COLOURS)]
            axes.plot(*_course(run, stream, column, (at_ms, None)), color=colour, label=name)
        axes.axvline(at_ms / 1e3, color="black", lw=0.6, ls=(0, (1, 1.5)))
        axes.set_ylabel(label)
    grid[-1].set_xlabel("time of the run (s)")
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _course(
    run: Run, stream: str, column: str, window_ms: tuple[float, float | None]
) -> tuple[FloatArray, FloatArray]:
    """Return seconds, and a column of the stream or the sum of all where it has no such column."""
    t_ms, values = run.array(stream, *window_ms)
    columns = run.streams[stream].columns
    return t_ms / 1e3, values[:, columns.index(column)] if column in columns else values.sum(axis=1)
