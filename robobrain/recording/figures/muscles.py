"""Muscles around the trials."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robobrain.recording.figures import data, style
from robobrain.recording.layout import FloatArray
from robobrain.recording.reader import Run

STREAMS = {
    "stimulation": ("stimulation", style.REGION_COLOURS["VL"]),
    "motor_rate_hz": ("motor pool", style.REGION_COLOURS["M1"]),
    "excitation": ("excitation", style.REGION_COLOURS["CB_S1"]),
    "activation": ("activation", style.REGION_COLOURS["S1"]),
}
"""Streams along the way from cortex to muscle, each a column of the figure: title and colour."""

BEFORE_MS, STEP_MS = 300.0, 5.0
MOST_SINGLES = 40


def muscles(run: Run) -> Figure:
    """Return what drives the eight muscles, aligned on the cue: mean, standard deviation and single trials.

    A run without trials shows its whole course instead.
    """
    traces = {name: trace for name in STREAMS if (trace := data.samples(run, name)) is not None}
    if not traces:
        figure = style.new_figure(2.0)
        style.say(figure.subplots(), "no muscles recorded")
        return figure
    names = run.streams[next(reversed(traces))].columns
    figure = style.new_figure(0.82 * len(names) + 0.9)
    grid = figure.subplots(len(names), len(traces), sharex=True, sharey="col", squeeze=False)
    trials = [trial for trial in run.trials if trial.get("cue_ms") is not None]
    for column, (name, trace) in enumerate(traces.items()):
        title, colour = STREAMS[name]
        panels = grid[:, column]
        if trials:
            _draw_trials(list(panels), trace, trials, colour)
        else:
            _draw_course(list(panels), trace, colour)
        unit = run.streams[name].unit
        fraction = unit in ("", "1")
        panels[0].set_title(f"{title} (0 to 1)" if fraction else f"{title} ({unit})")
        panels[0].set_ylim(0, 1.05 if fraction else max(1.0, panels[0].get_ylim()[1]))
    for axes, muscle in zip(grid[:, 0], names, strict=True):
        axes.set_ylabel(muscle)
    figure.supxlabel(_time_label(trials), fontsize=7.5)
    return figure


def _time_label(trials: list[dict[str, Any]]) -> str:
    if not trials:
        return "session time (s); the run has no trials"
    counted = "1 trial" if len(trials) == 1 else f"{len(trials)} trials (grey), mean ± SD"
    return f"time from cue (s); {counted}; lines: cue (dotted), median start line and end"


def _draw_trials(panels: list[Axes], trace: data.Samples, trials: list[dict[str, Any]], colour: str) -> None:
    offsets = _offsets(trials)
    cues = [trial["cue_ms"] for trial in trials]
    values = data.aligned(trace, cues, offsets)
    singles = np.linspace(0, len(trials) - 1, min(len(trials), MOST_SINGLES)).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # moments that no trial covers stay NaN
        mean, spread = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    for muscle, axes in enumerate(panels[: values.shape[2]]):
        for key in ("start_ms", "end_ms"):
            lags = [trial[key] - trial["cue_ms"] for trial in trials if trial.get(key) is not None]
            if lags:
                axes.axvline(float(np.median(lags)) / 1e3, color="black", lw=0.5)
        axes.axvline(0, color="black", lw=0.7, ls=(0, (1, 1.5)))
        t_s, middle, width = offsets / 1e3, mean[:, muscle], spread[:, muscle]
        axes.plot(t_s, values[singles, :, muscle].T, color=style.GREY, lw=0.3, alpha=0.35, zorder=0.8)
        axes.fill_between(t_s, middle - width, middle + width, color=colour, alpha=0.35, lw=0)
        axes.plot(t_s, middle, color=colour, lw=1.1)
        axes.set_xlim(t_s[0], t_s[-1])


def _offsets(trials: list[dict[str, Any]]) -> FloatArray:
    lags = [trial["end_ms"] - trial["cue_ms"] for trial in trials if trial.get("end_ms") is not None]
    after = float(np.clip(np.percentile(lags, 75) + 300, 500, 3000)) if lags else 1000.0
    return np.arange(-BEFORE_MS, after, STEP_MS)


def _draw_course(panels: list[Axes], trace: data.Samples, colour: str) -> None:
    t_ms, values = trace
    for muscle, axes in enumerate(panels[: values.shape[1]]):
        t, course = data.thinned(t_ms, values[:, muscle])
        axes.plot(t / 1e3, course, color=colour, lw=0.6)
