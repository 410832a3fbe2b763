"""Paths of the joystick, block by block."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robobrain.recording.figures import data, style
from robobrain.recording.figures.paths import cut, draw_paths, draw_zones, how_many, outcomes
from robobrain.recording.reader import Run

COLUMNS = 4
MOST_BLOCKS = 12
_HEIGHTS = {2: 4.3, 3: 3.2, 4: 2.6}
"""Height of a row in inches, by the number of columns."""


def blocks(run: Run) -> Figure:
    """Return the joystick's paths in a panel per block, with the target and the zone of the force."""
    trace = data.samples(run, "joystick_mm")
    trials = [trial for trial in run.trials if trial.get("end_ms") is not None]
    if trace is None or not trials:
        figure = style.new_figure(2.0)
        style.say(figure.subplots(), "no joystick recorded, or no trial ended")
        return figure
    groups = by_block(trials)[:MOST_BLOCKS]
    columns = min(COLUMNS, max(len(groups), 2))
    rows = -(-len(groups) // columns)
    figure = style.new_figure(_HEIGHTS[columns] * rows + 0.8, layout="compressed")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(groups) :]:
        axes.set_visible(False)
    task = run.manifest.get("task") or {}
    _set_limits(grid[0, 0], trace, trials)
    for axes, (name, members) in zip(grid.flat, groups, strict=False):
        draw_paths(axes, trace, members)
        force_mN = next((t["lateral_force_mN"] for t in members if t.get("lateral_force_mN")), 0.0)
        axes.set_title(f"{name}\n{how_many(members)}" + (f", {force_mN:+g} mN" if force_mN else ""))
        _draw_force_zone(axes, task, force_mN)
        zone_handles = draw_zones(axes, task.get("zones") or {})
    for axes in grid[:, 0]:
        axes.set_ylabel("pull toward the body (mm)")
    for index in range(len(groups)):
        if index + columns >= len(groups):
            axes = grid.flat[index]
            axes.set_xlabel("lateral, + to the animal's left (mm)")
            axes.tick_params(labelbottom=True)
    figure.legend(handles=outcomes(trials) + zone_handles, loc="outside lower center", ncols=7)
    return figure


def by_block(trials: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the blocks in their order, each with its trials; a block that comes again counts anew."""
    return [
        (name, list(members))
        for name, members in groupby(trials, key=lambda trial: str(trial.get("block") or "session"))
    ]


def _set_limits(axes: Axes, trace: data.Samples, trials: list[dict[str, Any]]) -> None:
    points = np.concatenate([*(cut(trace, trial) for trial in trials), [[-3.0, -1.0], [3.0, 10.5]]])
    points = points[np.isfinite(points).all(axis=1)]
    (left, low), (right, high) = points.min(axis=0) - 0.5, points.max(axis=0) + 0.5
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)


def _draw_force_zone(axes: Axes, task: dict[str, Any], force_mN: float) -> None:
    """Shade where the lateral force acts and show its direction."""
    onset_mm = (task.get("force_field") or {}).get("onset_mm")
    if not force_mN or onset_mm is None:
        return
    high = axes.get_ylim()[1]
    axes.axhspan(onset_mm, high, color=style.FORCE_COLOUR, alpha=0.25, lw=0, zorder=0.3)
    left, right = axes.get_xlim()
    reach = 0.3 * (right - left) * (1 if force_mN > 0 else -1)
    middle, height = (left + right) / 2, high - 0.04 * (high - axes.get_ylim()[0])
    axes.annotate(
        "",
        (middle + reach / 2, height),
        (middle - reach / 2, height),
        arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 0.9},
    )
