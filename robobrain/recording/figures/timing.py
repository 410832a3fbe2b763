"""Where the computing time of an exchange goes."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from robobrain.recording.figures import data, style
from robobrain.recording.figures.session import PHASE_COLOURS
from robobrain.recording.reader import Run

BINS = 80
SHORTEST_MS = 1e-3


def timing(run: Run) -> Figure:
    """Return the distribution of the computing time of each phase of an exchange, and of their sum."""
    trace = data.samples(run, "phase_time_ms")
    figure = style.new_figure(2.6)
    axes = figure.subplots()
    if trace is None:
        style.say(axes, "no computing times recorded")
        return figure
    columns = run.streams["phase_time_ms"].columns
    phases = {name: trace[1][:, index] for index, name in enumerate(columns)}
    phases["sum"] = trace[1].sum(axis=1)
    top = max(float(values.max()) for values in phases.values())
    low = max(SHORTEST_MS, min(float(np.percentile(values, 1)) for values in phases.values()) / 2)
    edges = np.geomspace(low, max(2 * low, 1.1 * top), BINS + 1)
    for name, values in phases.items():
        share, _ = np.histogram(np.maximum(values, low), edges)
        median, late = np.percentile(values, [50, 99])
        axes.stairs(
            100 * share / len(values),
            edges,
            color=PHASE_COLOURS.get(name, "black"),
            lw=1.2,
            label=f"{name}: median {median:.3g} ms, 99 % below {late:.3g} ms",
        )
    exchange_ms = (run.manifest.get("brain") or {}).get("exchange_ms")
    if exchange_ms:
        axes.axvline(exchange_ms, color=style.GREY, lw=0.8, ls="--", label=f"real time: {exchange_ms:g} ms")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("computing time per exchange (ms)")
    axes.set_ylabel("exchanges (%)")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
    return figure
