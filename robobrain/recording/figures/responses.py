"""Responses: what each thing that was played did to the outputs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robobrain.recording.figures import data, style
from robobrain.recording.layout import FloatArray
from robobrain.recording.reader import Run

STREAMS = ("motor_rate_hz", "region_rate_hz")
BEFORE_MS = 200.0


def responses(run: Run) -> Figure:
    """Return the change of motor and region rates by everything that was played, averaged over repeats."""
    played = played_spans(run)
    traces = {name: trace for name in STREAMS if (trace := data.samples(run, name)) is not None}
    if not played or not traces:
        figure = style.new_figure(2.0)
        style.say(figure.subplots(), "nothing was played")
        return figure
    figure = style.new_figure(1.5 + 0.24 * len(played))
    panels = figure.subplots(1, len(traces), squeeze=False)[0]
    for axes, (name, trace) in zip(panels, traces.items(), strict=True):
        _draw(axes, run.streams[name].columns, played, mean_changes(trace, played), name)
    panels[0].set_yticks(range(len(played)), [f"{what} (n = {len(spans)})" for what, spans in played.items()])
    return figure


def played_spans(run: Run) -> dict[str, list[tuple[float, float]]]:
    """Return begin and end (ms) of each time that something was played, by its name."""
    spans: dict[str, list[tuple[float, float]]] = {}
    for event in run.events:
        if event.name == "played":
            spans.setdefault(event.detail["what"], []).append((event.t_ms, event.detail["end_ms"]))
    return spans


def mean_changes(
    trace: data.Samples, played: dict[str, list[tuple[float, float]]]
) -> npt.NDArray[np.float64]:
    """Return mean value while played less mean of the `BEFORE_MS` before, ``[played, columns]``."""
    t_ms, values = trace

    def mean(begin_ms: float, end_ms: float) -> FloatArray:
        inside = (t_ms > begin_ms + 1e-6) & (t_ms <= end_ms + 1e-6)
        return np.asarray(values[inside].mean(axis=0)) if inside.any() else np.full(values.shape[1], np.nan)

    return np.stack(
        [
            np.mean([mean(begin, end) - mean(begin - BEFORE_MS, begin) for begin, end in spans], axis=0)
            for spans in played.values()
        ]
    )


def _draw(
    axes: Axes,
    columns: tuple[str, ...],
    played: dict[str, list[tuple[float, float]]],
    change: FloatArray,
    name: str,
) -> None:
    known = np.abs(change[np.isfinite(change)])
    largest = float(known.max()) if known.any() else 1.0
    image = axes.imshow(change, aspect="auto", cmap="RdBu_r", vmin=-largest, vmax=largest)
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right")
    axes.set_yticks(range(len(played)), [""] * len(played))
    what = {"motor_rate_hz": "motor columns", "region_rate_hz": "regions"}[name]
    axes.set_title(f"{what}: change of rate (Hz)")
    axes.figure.colorbar(image, ax=axes, shrink=0.9)
