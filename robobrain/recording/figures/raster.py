"""The spike raster by region and layer, with the joystick beneath it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from robobrain.recording.figures import data, style
from robobrain.recording.layout import FloatArray
from robobrain.recording.reader import Population, Run
from robobrain.seeding import generator

ROWS_PER_REGION = 240
ROWS_PER_POPULATION = 60
GAP_ROWS = 14
LABEL_ROWS = 22
"""Least distance of two names of layers, where the region has the room."""
WINDOW_MS = 10_000.0


def raster(run: Run, window_ms: tuple[float, float] | None = None) -> Figure:
    """Return spikes of sampled neurons by region, trial marks, joystick and lateral force over time.

    Args:
        run: The run.
        window_ms: Session time to show; by default up to 10 s around the first rewarded trials.
    """
    trials = run.trials
    t0_ms, t1_ms = window_ms or data.detail_window(run, trials, WINDOW_MS)
    shown = data.within(trials, t0_ms, t1_ms)
    figure = style.new_figure(7.6)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[5.4, 1])
    spans = data.force_spans(run, t0_ms, t1_ms)
    for axes in (top, bottom):
        style.mark_trials(axes, shown, marks=axes is top)
        for start, stop in spans:
            axes.axvspan(
                start / 1e3, stop / 1e3, color=style.FORCE_COLOUR, alpha=style.FORCE_ALPHA, lw=0, zorder=0
            )
    _draw_spikes(top, run, t0_ms, t1_ms)
    _draw_joystick(bottom, run, t0_ms, t1_ms)
    bottom.set_xlim(t0_ms / 1e3, t1_ms / 1e3)
    bottom.set_xlabel("session time (s)")
    if shown:
        figure.legend(handles=style.mark_handles(force=bool(spans)), loc="outside upper right", ncols=4)
    return figure


def _draw_spikes(axes: Axes, run: Run, t0_ms: float, t1_ms: float) -> None:
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    regions = data.populations_by_region(run)
    if not regions:
        axes.set_yticks([])
        style.say(axes, "no populations recorded")
        return
    t_ms, sender = run.spikes(None, t0_ms, t1_ms)
    centres, row = [], 0
    for region, populations in regions.items():
        ids = sampled_ids(populations)
        row_of = np.full(max(ids) + 2, -1, dtype=np.int64)
        row_of[ids] = row + np.arange(len(ids))
        rows = data.look_up(row_of, sender)
        colour = style.region_colour(region)
        drawn = rows >= 0
        axes.plot(
            t_ms[drawn] / 1e3,
            rows[drawn],
            ls="none",
            marker=".",
            ms=1.3,
            mew=0,
            color=colour,
            rasterized=True,
        )
        axes.add_artist(_bar(axes, row, len(ids), colour))
        _mark_layers(axes, populations, row, colour)
        centres.append((row + len(ids) / 2, region, len(ids), sum(p.size for p in populations)))
        row += len(ids) + GAP_ROWS
    axes.set_yticks([centre for centre, *_ in centres])
    labels = axes.set_yticklabels([f"{region}\n{n} of {size}" for _, region, n, size in centres])
    for label, (_, region, *_) in zip(labels, centres, strict=True):
        label.set_color(style.region_colour(region))
    axes.set_ylim(row, -GAP_ROWS)
    axes.set_ylabel("neurons by region, sampled evenly over populations")
    if not len(t_ms):
        style.say(axes, "no spikes in this window")


def _bar(axes: Axes, row: int, rows: int, colour: str) -> Rectangle:
    """Return a bar at the left edge that spans the rows of a region."""
    return Rectangle(
        (-0.008, row), 0.005, rows, transform=axes.get_yaxis_transform(), color=colour, lw=0, clip_on=False
    )


def _mark_layers(axes: Axes, populations: list[Population], row: float, colour: str) -> None:
    """Name the layers (or nuclei) of a region at the right edge and part them by thin lines."""
    share, layers = _share(populations), data.layers(populations)
    rows = np.array([sum(min(share, p.size) for p in members) for _, members in layers])
    ends = row + np.cumsum(rows)
    for end in ends[:-1]:
        axes.axhline(end - 0.5, color=colour, lw=0.3, alpha=0.5, zorder=0.6)
    places = spread(ends - rows / 2, LABEL_ROWS, row - GAP_ROWS / 2, ends[-1] + GAP_ROWS / 2)
    for (name, _), place in zip(layers, places, strict=True):
        axes.text(
            1.005,
            place,
            name,
            transform=axes.get_yaxis_transform(),
            color=colour,
            fontsize=5,
            va="center",
        )


def spread(places: FloatArray, least: float, low: float, high: float) -> FloatArray:
    """Return places in order, moved so that they are ``least`` apart and stay between two bounds.

    Where the bounds leave less room they are evenly spread over it.
    """
    apart = least * np.arange(len(places))
    if apart[-1] > high - low - least:
        return np.asarray(low + (high - low) * (np.arange(len(places)) + 0.5) / len(places))
    moved = np.maximum.accumulate(places - apart) + apart
    return np.asarray(np.minimum(moved, high - least / 2 - apart[::-1]))


def _share(populations: list[Population]) -> int:
    return max(1, min(ROWS_PER_POPULATION, ROWS_PER_REGION // len(populations)))


def sampled_ids(populations: list[Population]) -> list[int]:
    """Return ids of the neurons to show: as many from each population as a fair share of rows allows."""
    share = _share(populations)
    ids: list[int] = []
    for p in populations:
        drawn = generator(0, "raster", p.name).choice(p.size, size=min(share, p.size), replace=False)
        ids += sorted(p.first_id + int(i) for i in drawn)
    return ids


def raster_rows(
    regions: list[list[Population]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return tables from neuron id to row of the raster and to region; -1 for neurons not shown."""
    ids = [sampled_ids(populations) for populations in regions]
    top = max((max(members) for members in ids), default=0)
    row_of = np.full(top + 2, -1, dtype=np.int64)
    region_of = np.full(top + 2, -1, dtype=np.int64)
    row = 0
    for index, members in enumerate(ids):
        row_of[members] = row + np.arange(len(members))
        region_of[members] = index
        row += len(members) + GAP_ROWS
    return row_of, region_of


def _draw_joystick(axes: Axes, run: Run, t0_ms: float, t1_ms: float) -> None:
    axes.set_ylabel("joystick (mm)")
    joystick = data.samples(run, "joystick_mm", t0_ms, t1_ms)
    if joystick is None:
        style.say(axes, "no joystick recorded")
        return
    t_ms, values = joystick
    for column, name, colour in ((1, "pull", style.PULL_COLOUR), (0, "lateral", style.LATERAL_COLOUR)):
        t, trace = data.thinned(t_ms, values[:, column])
        axes.plot(t / 1e3, trace, color=colour, label=name)
    target = ((run.manifest.get("task") or {}).get("zones") or {}).get("target") or {}
    if isinstance(target.get("pull_mm"), list):
        axes.axhspan(*target["pull_mm"], color=style.ZONE_COLOUR, alpha=0.15, lw=0, label="target")
    axes.locator_params(axis="y", nbins=4, integer=True)
    axes.legend(loc="upper left", ncols=3, bbox_to_anchor=(0, 1.18), borderaxespad=0)
