"""Population rates over the session."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from robobrain.recording.figures import data, style
from robobrain.recording.layout import FloatArray
from robobrain.recording.reader import Population, Run

BIN_MS = 50.0
MOST_BINS = 1200
RATE_RANGE_HZ = (0.3, 100.0)
MOST_MARKED = 30
"""Of more trials none is marked."""


def rates(run: Run) -> Figure:
    """Return the rate of every population as a heat map (Hz, logarithmic) above the mean of each region."""
    regions = data.populations_by_region(run)
    if not regions:
        figure = style.new_figure(2.0)
        style.say(figure.subplots(), "no populations recorded")
        return figure
    populations = [p for members in regions.values() for p in members]
    edges = data.rate_edges(run, BIN_MS, MOST_BINS)
    values = data.population_rates(run, populations, edges)
    trials = data.within(run.trials, edges[0], edges[-1])
    marked = trials if len(trials) <= MOST_MARKED else []
    heights = [max(1.0, 0.088 * len(populations)), *[0.34] * len(regions)]
    figure = style.new_figure(sum(heights) + (1.1 if marked else 0.9))
    top, *panels = figure.subplots(1 + len(regions), 1, sharex=True, height_ratios=heights)
    _draw_map(top, populations, values, edges)
    for axes, (region, members) in zip(panels, regions.items(), strict=True):
        rows = [populations.index(member) for member in members]
        mean = np.average(values[rows], axis=0, weights=[member.size for member in members])
        style.mark_trials(axes, marked, marks=axes is panels[0])
        _draw_mean(axes, region, mean, edges)
    panels[0].set_title(f"mean over the neurons of each region (Hz), bins of {edges[1] - edges[0]:.0f} ms")
    panels[-1].set_xlabel("session time (s)")
    panels[-1].set_xlim(edges[0] / 1e3, edges[-1] / 1e3)
    if marked:
        figure.legend(handles=style.mark_handles(force=False), loc="outside lower center", ncols=3)
    return figure


def _draw_map(
    axes: Axes, populations: list[Population], values: npt.NDArray[np.float64], edges: FloatArray
) -> None:
    image = axes.imshow(
        np.maximum(values, RATE_RANGE_HZ[0] / 10),
        aspect="auto",
        interpolation="nearest",
        norm=LogNorm(*RATE_RANGE_HZ),
        extent=(edges[0] / 1e3, edges[-1] / 1e3, len(populations) - 0.5, -0.5),
    )
    axes.set_yticks(range(len(populations)))
    labels = axes.set_yticklabels([data.short_name(p) for p in populations], fontsize=5.5)
    axes.tick_params(axis="y", length=0, pad=2)
    axes.tick_params(axis="x", labelbottom=False)
    for label, population in zip(labels, populations, strict=True):
        label.set_color(style.region_colour(population.region))
    for region in dict.fromkeys(p.region for p in populations):
        rows = [i for i, p in enumerate(populations) if p.region == region]
        axes.axhline(rows[-1] + 0.5, color="white", lw=1.2)
        axes.text(
            1.01,
            (rows[0] + rows[-1]) / 2,
            region,
            transform=axes.get_yaxis_transform(),
            color=style.region_colour(region),
            va="center",
            fontweight="bold",
        )
    bar = axes.figure.colorbar(image, ax=axes, location="top", extend="both", aspect=60, shrink=0.6, pad=0.01)
    bar.set_label(f"rate per neuron (Hz), bins of {edges[1] - edges[0]:.0f} ms")
    bar.outline.set_linewidth(0.4)
    bar.ax.xaxis.set_major_formatter("{x:g}")


def _draw_mean(axes: Axes, region: str, mean: npt.NDArray[np.float64], edges: FloatArray) -> None:
    colour = style.region_colour(region)
    axes.stairs(mean, edges / 1e3, color=colour, lw=0.7)
    axes.stairs(mean, edges / 1e3, color=colour, alpha=0.2, fill=True)
    axes.set_ylim(0, max(1.0, 1.1 * mean.max()))
    axes.set_ylabel(region, color=colour, rotation=0, ha="right", va="center")
    axes.locator_params(axis="y", nbins=2)
