"""Paths of joystick and paw in the plane."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch, Rectangle

from robobrain.recording.figures import data, style
from robobrain.recording.reader import Run

STREAMS = {"joystick_mm": "joystick", "paw_mm": "paw"}
ZONE_STYLES = {
    "home": ("home", style.GREY),
    "start": ("start line", "#56B4E9"),
    "target": ("target", style.ZONE_COLOUR),
}
MOST_PATHS = 150
"""More trials in one panel hide each other: then so many of them are drawn, evenly spread over all."""
FREE_MM = 100.0
"""A zone without an edge on some side goes on for this long, past the border of the figure."""


def paths(run: Run) -> Figure:
    """Return the paths of all trials, lateral against pull in mm, coloured by outcome, with the zones."""
    traces = {name: trace for name in STREAMS if (trace := data.samples(run, name)) is not None}
    if not traces:
        figure = style.new_figure(2.0)
        style.say(figure.subplots(), "no joystick or paw recorded")
        return figure
    figure = style.new_figure(4.6, layout="compressed")
    grid = figure.subplots(1, len(traces), squeeze=False, sharex=True, sharey=True)[0]
    trials = [trial for trial in run.trials if trial.get("end_ms") is not None]
    for axes, (name, trace) in zip(grid, traces.items(), strict=True):
        draw_paths(axes, trace, trials)
        axes.set_title(f"{STREAMS[name]}, {how_many(trials)}")
        axes.set_xlabel("lateral, positive to the animal's left (mm)")
    grid[0].set_ylabel("pull toward the body (mm)")
    _frame(grid[0], traces, trials)
    zones = (run.manifest.get("task") or {}).get("zones") or {}
    zone_handles = [handle for axes in grid for handle in draw_zones(axes, zones)][: len(zones)]
    figure.legend(handles=outcomes(trials) + zone_handles, loc="outside lower center", ncols=7)
    return figure


def cut(trace: data.Samples, trial: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return lateral and pull [n, 2] of a trial, from its cue (or start) to its end."""
    return trace[1][_samples_of(trace, trial), :2]


def times_s(trace: data.Samples, trial: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the times [n] of what `cut` returns, in seconds from the trial's cue (or start)."""
    return (trace[0][_samples_of(trace, trial)] - _begin_ms(trial)) / 1e3


def _begin_ms(trial: Mapping[str, Any]) -> float:
    marks = (trial.get(key) for key in ("cue_ms", "begin_ms"))
    return float(next((mark for mark in marks if mark is not None), trial["end_ms"]))


def _samples_of(trace: data.Samples, trial: Mapping[str, Any]) -> slice:
    start, stop = np.searchsorted(trace[0], [_begin_ms(trial), trial["end_ms"]], side="left")
    return slice(int(start), int(stop) + 1)


def how_many(trials: list[dict[str, Any]]) -> str:
    """Return for a title how many trials there are, and how many of them `draw_paths` draws."""
    if not trials:
        return "whole session (no trials)"
    step = -(-len(trials) // MOST_PATHS)
    return f"{len(trials)} trials" if step == 1 else f"1 in {step} of {len(trials)} trials"


def chosen(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the trials that a panel shows: all, or `MOST_PATHS` evenly spread over them."""
    return trials[:: -(-len(trials) // MOST_PATHS)]


def alpha_of(drawn: list[dict[str, Any]]) -> float:
    """Return how opaque so many lines are, so that they don't hide each other."""
    return float(np.clip(12 / len(drawn), 0.25, 0.9))


def draw_paths(axes: Axes, trace: data.Samples, trials: list[dict[str, Any]]) -> None:
    """Draw the way of each trial in the colour of its outcome; without trials the whole session."""
    axes.set_aspect("equal", adjustable="box")
    axes.axhline(0, color=style.GREY, lw=0.4, zorder=0.4)
    axes.axvline(0, color=style.GREY, lw=0.4, zorder=0.4)
    if not trials:
        lateral, pull = trace[1][:: max(1, len(trace[0]) // 50_000), :2].T
        axes.plot(lateral, pull, color=style.GREY, lw=0.5)
        return
    drawn = chosen(trials)
    alpha = alpha_of(drawn)
    for trial in drawn:
        path = cut(trace, trial)
        if not len(path):
            continue
        colour = style.colour_of(trial.get("outcome"))
        axes.plot(path[:, 0], path[:, 1], color=colour, lw=0.8, alpha=alpha, solid_capstyle="round")
        axes.plot(*path[-1], marker="o", ms=2.5, mew=0, color=colour, alpha=min(1.0, 1.5 * alpha))


def _frame(axes: Axes, traces: Mapping[str, data.Samples], trials: list[dict[str, Any]]) -> None:
    """Set limits that hold every path and leave some air."""
    cuts = [cut(trace, trial) for trace in traces.values() for trial in trials]
    cuts = [cut for cut in cuts if len(cut)] or [trace[1][:, :2] for trace in traces.values()]
    points = np.concatenate([*cuts, [[-3.0, -1.5], [3.0, 10.5]]])
    points = points[np.isfinite(points).all(axis=1)]
    (left, low), (right, high) = points.min(axis=0) - 0.5, points.max(axis=0) + 0.5
    air = max(0.0, 0.75 * (high - low) - (right - left)) / 2
    axes.set_xlim(left - air, right + air)
    axes.set_ylim(low, high)


def draw_zones(axes: Axes, zones: Mapping[str, Any]) -> list[Artist]:
    """Draw the zones that the manifest describes and return their legend.

    A zone is a mapping with ``lateral_mm`` and ``pull_mm`` ([low, high]; a missing one is free), or with
    ``radius_mm`` around rest, or with a single number as ``pull_mm``: a line to cross.
    """
    handles: list[Artist] = []
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    for name, zone in zones.items():
        label, colour = ZONE_STYLES.get(name, (name, style.GREY))
        if isinstance(zone.get("pull_mm"), int | float):
            handles.append(
                axes.axhline(zone["pull_mm"], color=colour, lw=1.0, ls="--", zorder=0.6, label=label)
            )
            continue
        look: dict[str, Any] = {
            "fc": to_rgba(colour, 0.18),
            "ec": colour,
            "lw": 0.8,
            "zorder": 0.6,
            "label": label,
        }
        if "radius_mm" in zone:
            patch: Patch = Circle((0, 0), zone["radius_mm"], **look)
        else:
            x = _edges(zone.get("lateral_mm"), left - FREE_MM, right + FREE_MM)
            y = _edges(zone.get("pull_mm"), low - FREE_MM, high + FREE_MM)
            patch = Rectangle((x[0], y[0]), x[1] - x[0], y[1] - y[0], **look)
        handles.append(axes.add_patch(patch))
    return handles


def _edges(given: list[float | None] | None, low: float, high: float) -> tuple[float, float]:
    """Return the edges of a zone, ``low`` and ``high`` where they are free."""
    first, last = given or (None, None)
    return (low if first is None else first, high if last is None else last)


def outcomes(trials: list[dict[str, Any]]) -> list[Line2D]:
    """Return the legend of the outcomes, with their numbers."""
    counts = Counter(str(trial.get("outcome")) for trial in trials)
    return [
        Line2D(
            [], [], color=style.colour_of(name), lw=1.5, label=f"{style.OUTCOME_LABELS.get(name, name)} ({n})"
        )
        for name, n in counts.most_common()
    ]
