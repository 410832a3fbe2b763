"""Paths of the joystick, block by block."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from robobrain.recording.figures import data, style
from robobrain.recording.figures.paths import (
    ZONE_STYLES,
    alpha_of,
    chosen,
    cut,
    draw_paths,
    draw_zones,
    how_many,
    outcomes,
    times_s,
)
from robobrain.recording.reader import Run

COLUMNS = 4
MOST_BLOCKS = 12
_HEIGHTS = {2: 4.3, 3: 3.2, 4: 2.6}
"""Height of a row in inches, by the number of columns."""
SINGLE_HEIGHT, SINGLE_SHARE = 4.6, 0.42
"""Height in inches of the figure of a single block, and the part of its width that the paths have."""
PULL_LABEL, LATERAL_LABEL = "pull toward the body (mm)", "lateral, + to the animal's left (mm)"
SHORT_LATERAL_LABEL = "lateral, + left (mm)"


def blocks(run: Run) -> Figure:
    """Return the joystick's paths in a panel per block, with the target and the zone of the force.

    A run of one block has its pull and lateral place over time beside the paths.
    """
    trace = data.samples(run, "joystick_mm")
    trials = [trial for trial in run.trials if trial.get("end_ms") is not None]
    if trace is None or not trials:
        figure = style.new_figure(2.0)
        style.say(figure.subplots(), "no joystick recorded, or no trial ended")
        return figure
    groups = by_block(trials)[:MOST_BLOCKS]
    figure, panels, courses = _panels(len(groups))
    task = run.manifest.get("task") or {}
    zones, forces = task.get("zones") or {}, []
    _set_limits(panels[0], trace, trials)
    for axes, (name, members) in zip(panels, groups, strict=True):
        draw_paths(axes, trace, members)
        force_mN = next((t["lateral_force_mN"] for t in members if t.get("lateral_force_mN")), 0.0)
        axes.set_title(f"{name}\n{how_many(members)}" + (f", {force_mN:+g} mN" if force_mN else ""))
        forces += _draw_force_zone(axes, task, force_mN)
        zone_handles = draw_zones(axes, zones)
    for axes, column in courses.items():
        _draw_course(axes, column, trace, trials, zones)
    figure.legend(
        handles=[*outcomes(trials), *zone_handles, *forces[:1]], loc="outside lower center", ncols=7
    )
    return figure


def _panels(count: int) -> tuple[Figure, list[Axes], dict[Axes, int]]:
    """Return a figure with so many panels for paths, and panels for the courses of columns over time."""
    if count == 1:
        figure = style.new_figure(SINGLE_HEIGHT)
        named: dict[str, Axes] = figure.subplot_mosaic(
            [["paths", "pull"], ["paths", "lateral"]], width_ratios=(SINGLE_SHARE, 1 - SINGLE_SHARE)
        )
        named["pull"].sharex(named["lateral"])
        named["pull"].tick_params(labelbottom=False)
        panels, lowest, courses = [named["paths"]], [named["paths"]], {named["pull"]: 1, named["lateral"]: 0}
        named["paths"].set_ylabel(PULL_LABEL)
    else:
        columns = style.columns_of(count, COLUMNS)
        rows = -(-count // columns)
        figure = style.new_figure(_HEIGHTS[columns] * rows + 0.8, layout="compressed")
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axes in grid.flat[count:]:
            axes.set_visible(False)
        for axes in grid[:, 0]:
            axes.set_ylabel(PULL_LABEL)
        panels, courses = list(grid.flat[:count]), {}
        lowest = panels[-columns:]
    for axes in lowest:
        axes.set_xlabel(LATERAL_LABEL if count < COLUMNS else SHORT_LATERAL_LABEL)
        axes.tick_params(labelbottom=True)
    return figure, panels, courses


def _draw_course(
    axes: Axes, column: int, trace: data.Samples, trials: list[dict[str, Any]], zones: dict[str, Any]
) -> None:
    """Draw pull (column 1) or lateral place (0) of each trial from its cue to its end, with the target."""
    drawn = chosen(trials)
    for trial in drawn:
        path, t_s = cut(trace, trial), times_s(trace, trial)
        if len(path):
            look: dict[str, Any] = {"color": style.colour_of(trial.get("outcome")), "alpha": alpha_of(drawn)}
            axes.plot(t_s, path[:, column], lw=0.8, **look)
            axes.plot(t_s[-1], path[-1, column], marker="o", ms=2.5, mew=0, **look)
    axes.axhline(0, color=style.GREY, lw=0.4, zorder=0.4)
    target = (zones.get("target") or {}).get("pull_mm" if column else "lateral_mm")
    if isinstance(target, list) and None not in target:
        axes.axhspan(*target, color=style.ZONE_COLOUR, alpha=0.18, lw=0, zorder=0.3)
    start_mm = (zones.get("start") or {}).get("pull_mm")
    if column and isinstance(start_mm, int | float):
        axes.axhline(start_mm, color=ZONE_STYLES["start"][1], lw=1.0, ls="--", zorder=0.6)
    axes.set_xlim(left=0)
    axes.set_ylabel("pull (mm)" if column else SHORT_LATERAL_LABEL)
    if column:
        axes.set_title("over time\nfrom the cue to the end of each trial")
    else:
        axes.set_xlabel("time from the cue (s)")
        axes.locator_params(axis="x", nbins=6)


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


def _draw_force_zone(axes: Axes, task: dict[str, Any], force_mN: float) -> list[Artist]:
    """Shade where the lateral force acts, show its direction, and return the legend."""
    onset_mm = (task.get("force_field") or {}).get("onset_mm")
    if not force_mN or onset_mm is None:
        return []
    high = axes.get_ylim()[1]
    look: dict[str, Any] = {"color": style.FORCE_COLOUR, "alpha": 0.25, "lw": 0}
    axes.axhspan(onset_mm, high, **look, zorder=0.3)
    left, right = axes.get_xlim()
    reach = 0.3 * (right - left) * (1 if force_mN > 0 else -1)
    middle, height = (left + right) / 2, high - 0.04 * (high - axes.get_ylim()[0])
    axes.annotate(
        "",
        (middle + reach / 2, height),
        (middle - reach / 2, height),
        arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 0.9},
    )
    return [Patch(**look, label="lateral force")]
