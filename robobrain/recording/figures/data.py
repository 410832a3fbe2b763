"""What the figures draw, taken from a run: windows, rates, samples aligned on trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from robobrain.recording.figures.style import REGION_COLOURS
from robobrain.recording.layout import FloatArray, IdArray
from robobrain.recording.reader import Population, Run

READ_MS = 10_000.0
"""Spikes are read in windows of this length, so that memory doesn't grow with the run."""

TAIL_MS = 2_000.0
"""Spikes of a run that broke off are known at least up to so long before its end."""

SAMPLE_MS = 1.0
"""A signal stands for so long: the movement is recorded each ms."""

Trial = dict[str, Any]
Samples = tuple[FloatArray, FloatArray]


def samples(run: Run, name: str, t0_ms: float | None = None, t1_ms: float | None = None) -> Samples | None:
    """Return times and values of a stream; None when the run has no such stream or no sample of it."""
    if name not in run.streams:
        return None
    t_ms, values = run.array(name, t0_ms, t1_ms)
    return (t_ms, values.astype(np.float64)) if len(t_ms) else None


def populations_by_region(run: Run) -> dict[str, list[Population]]:
    """Return the populations of each region, regions in the order of the figures."""
    found = dict.fromkeys(population.region for population in run.populations.values())
    order = [region for region in REGION_COLOURS if region in found]
    order += [region for region in found if region not in REGION_COLOURS]
    return {region: [p for p in run.populations.values() if p.region == region] for region in order}


def short_name(population: Population) -> str:
    """Return the name of a population without its region."""
    return population.name.removeprefix(f"{population.region}_").replace("_", " ")


def layers(populations: Sequence[Population]) -> list[tuple[str, list[Population]]]:
    """Return populations of one region by cortical layer, thalamic zone or nucleus, in their order."""
    groups: dict[str, list[Population]] = {}
    for population in populations:
        groups.setdefault(short_name(population).split(" ", maxsplit=1)[0], []).append(population)
    return list(groups.items())


def index_table(groups: Sequence[Sequence[tuple[int, int]]]) -> npt.NDArray[np.int64]:
    """Return a table from neuron id to the index of the group that holds it, -1 for none.

    Args:
        groups: For each index, ranges of ids as (first, size).
    """
    top = max((first + size for group in groups for first, size in group), default=0)
    table = np.full(top + 1, -1, dtype=np.int64)
    for index, group in enumerate(groups):
        for first, size in group:
            table[first : first + size] = index
    return table


def look_up(table: npt.NDArray[np.int64], sender: IdArray) -> npt.NDArray[np.int64]:
    """Return the group of each sender; -1 for ids that the table doesn't know."""
    return table[np.minimum(sender, len(table) - 1)]


def population_rates(
    run: Run, populations: Sequence[Population], edges_ms: FloatArray
) -> npt.NDArray[np.float64]:
    """Return mean rates per neuron in Hz [populations, bins] for evenly spaced bins."""
    bins, bin_ms = len(edges_ms) - 1, edges_ms[1] - edges_ms[0]
    counts = np.zeros(len(populations) * bins, dtype=np.int64)
    table = index_table([[(p.first_id, p.size)] for p in populations])
    for start in np.arange(edges_ms[0], edges_ms[-1], READ_MS):
        t_ms, sender = run.spikes(None, start, min(start + READ_MS, edges_ms[-1]))
        column = np.minimum(((t_ms - edges_ms[0]) / bin_ms).astype(np.int64), bins - 1)
        group = look_up(table, sender)
        counts += np.bincount((group * bins + column)[group >= 0], minlength=len(counts))
    sizes = np.array([p.size for p in populations])[:, np.newaxis]
    return np.asarray(counts.reshape(len(populations), bins) / (sizes * bin_ms * 1e-3), dtype=np.float64)


def region_counts(
    run: Run, regions: Sequence[Sequence[Population]], edges_ms: FloatArray
) -> npt.NDArray[np.int64]:
    """Return numbers of spikes [regions, bins] for evenly spaced bins."""
    bins, bin_ms = len(edges_ms) - 1, edges_ms[1] - edges_ms[0]
    t_ms, sender = run.spikes(None, edges_ms[0], edges_ms[-1])
    group = look_up(index_table([[(p.first_id, p.size) for p in members] for members in regions]), sender)
    column = np.minimum(((t_ms - edges_ms[0]) / bin_ms).astype(np.int64), bins - 1)
    counts = np.bincount((group * bins + column)[group >= 0], minlength=len(regions) * bins)
    return counts.reshape(len(regions), bins)


def has_spikes(run: Run) -> bool:
    """Return whether the run can hold spikes that belong to populations."""
    return bool(run.populations) and len(run.spikes(None, *_first_window(run))[0]) > 0


def _first_window(run: Run) -> tuple[float, float]:
    first, last = run.span_ms
    return first, min(first + READ_MS, last + 1.0)


def spike_span_ms(run: Run) -> tuple[float, float]:
    """Return the session time in which spikes are known.

    The brain hands them out now and then, so that of a run that broke off the last ones are missing.
    """
    first, last = run.span_ms
    if run.status == "complete":
        return first, last
    t_ms = run.spikes(None, last - TAIL_MS)[0]
    return first, float(t_ms[-1]) if len(t_ms) else last


def rate_edges(run: Run, bin_ms: float, most_bins: int) -> FloatArray:
    """Return bin edges in ms over the run: ``bin_ms`` wide, or a multiple of it when the run is long.

    All bins lie within the record, to `SAMPLE_MS`: one that it fills in part would show too low a rate. Of a
    record shorter than a bin all is one bin.
    """
    first, last = spike_span_ms(run)
    width = bin_ms * max(1, math.ceil((last - first) / bin_ms / most_bins))
    start = math.ceil((first - SAMPLE_MS) / width) * width
    bins = math.floor((last + SAMPLE_MS - start) / width)
    if bins < 1:
        return np.array([first, max(last, first + SAMPLE_MS)])
    return np.asarray(start + width * np.arange(bins + 1), dtype=np.float64)


def detail_window(run: Run, trials: Sequence[Trial], length_ms: float) -> tuple[float, float]:
    """Return a window in ms that shows single spikes: around the first rewarded trials, or the start."""
    first, last = run.span_ms
    if last - first <= length_ms:
        return first, max(last, first + 1.0)
    cues = [t["cue_ms"] for t in trials if t.get("cue_ms") is not None]
    rewarded = [t["cue_ms"] for t in trials if t.get("cue_ms") is not None and t.get("outcome") == "rewarded"]
    start = (rewarded or cues or [first])[0] - 0.05 * length_ms
    start = float(np.clip(start, first, last - length_ms))
    return start, start + length_ms


def within(trials: Sequence[Trial], t0_ms: float, t1_ms: float) -> list[Trial]:
    """Return the trials that overlap a window, with marks outside of it removed."""
    shown = []
    for trial in trials:
        marks = {key: trial.get(key) for key in ("begin_ms", "cue_ms", "start_ms", "end_ms")}
        known = [mark for mark in marks.values() if mark is not None]
        if known and max(known) >= t0_ms and min(known) <= t1_ms:
            kept = {k: m if m is not None and t0_ms <= m <= t1_ms else None for k, m in marks.items()}
            shown.append({**trial, **kept})
    return shown


def force_spans(run: Run, t0_ms: float, t1_ms: float) -> list[tuple[float, float]]:
    """Return the spans in ms during which the lateral force is on."""
    force = samples(run, "lateral_force_mN", t0_ms, t1_ms)
    if force is None:
        return []
    t_ms, values = force
    on = np.concatenate(([0], (values[:, 0] != 0).astype(np.int8), [0]))
    starts, stops = np.flatnonzero(np.diff(on) == 1), np.flatnonzero(np.diff(on) == -1)
    return [(t_ms[a], t_ms[b]) for a, b in zip(starts, np.minimum(stops, len(t_ms) - 1), strict=True)]


def thinned(t_ms: FloatArray, values: FloatArray, most: int = 6000) -> Samples:
    """Return at most about ``most`` points that keep the extremes of a one-dimensional trace."""
    if len(t_ms) <= most:
        return t_ms, values
    block = int(np.ceil(2 * len(t_ms) / most))
    n = len(t_ms) // block
    blocks = values[: n * block].reshape(n, block)
    picks = np.sort(np.stack([np.argmin(blocks, axis=1), np.argmax(blocks, axis=1)], axis=1), axis=1)
    index = (picks + block * np.arange(n)[:, np.newaxis]).ravel()
    return t_ms[index], values[index]


def aligned(trace: Samples, at_ms: Sequence[float], offsets_ms: FloatArray) -> FloatArray:
    """Return values [trials, offsets, columns]: the last sample at each moment, NaN outside the record."""
    t_ms, values = trace
    moments = np.asarray(at_ms)[:, np.newaxis] + offsets_ms
    index = np.searchsorted(t_ms, moments + 1e-6, side="right") - 1
    result = values[np.maximum(index, 0)]
    result[(index < 0) | (moments > t_ms[-1])] = np.nan
    return np.asarray(result)
