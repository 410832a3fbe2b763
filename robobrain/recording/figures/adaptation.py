"""How the pulls change over the trials."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from robobrain.recording.figures import style
from robobrain.recording.figures.blocks import by_block
from robobrain.recording.reader import Run

MEASURES = {
    "deviation_mm": "lateral deviation (mm)\n6 mm of pull minus 3 mm\n+ to the animal's left",
    "peak_pull_mm": "peak pull (mm)",
    "peak_speed_mm_s": "peak speed (mm/s)",
}

MANY_TRIALS = 200
"""From so many trials on, points get smaller and a line joins means of some trials instead of each one."""
MEANS = 100
"""About so many means the line joins then."""
_NAME_WIDTH, _LEVEL_HEIGHT = 0.0125, 0.11
"""Width of a letter and height of a line of the blocks' names, as parts of the axes (*assumed*)."""


def adaptation(run: Run) -> Figure:
    """Return measures of the pull over the trials, with the mean of each block and the force's blocks."""
    trials = [{**trial, "deviation_mm": deviation_mm(trial)} for trial in run.trials]
    shown = [key for key in MEASURES if any(trial.get(key) is not None for trial in trials)]
    if not shown:
        figure = style.new_figure(2.0)
        style.say(figure.subplots(), "no pull was measured")
        return figure
    figure = style.new_figure(1.35 * len(shown) + 0.8)
    grid = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, key in zip(grid, shown, strict=True):
        _draw_measure(axes, trials, key)
        axes.set_ylabel(MEASURES[key])
    _name_blocks(grid[0], trials)
    grid[-1].set_xlabel("trial")
    grid[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    grid[-1].set_xlim(0.5, len(trials) + 0.5)
    figure.align_ylabels(list(grid))
    figure.legend(handles=_handles(trials), loc="outside lower center", ncols=7)
    return figure


def deviation_mm(trial: dict[str, Any]) -> float | None:
    """Return how far the pull went aside between before and after the onset of the force."""
    before, after = trial.get("deviation_before_mm"), trial.get("deviation_after_mm")
    return None if before is None or after is None else after - before


def _draw_measure(axes: Axes, trials: list[dict[str, Any]], key: str) -> None:
    axes.axhline(0, color=style.GREY, lw=0.4)
    first = 1
    for _, members in by_block(trials):
        last = first + len(members) - 1
        if any(trial.get("lateral_force_mN") for trial in members):
            axes.axvspan(
                first - 0.5, last + 0.5, color=style.FORCE_COLOUR, alpha=style.FORCE_ALPHA / 2, lw=0, zorder=0
            )
        values = np.array([trial[key] for trial in members if trial.get(key) is not None], dtype=np.float64)
        if len(values) and mean_of(trials) == 1:
            spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
            middle = values.mean()
            axes.fill_between([first - 0.4, last + 0.4], middle - spread, middle + spread, color="black",
                              alpha=0.15, lw=0)  # fmt: skip
            axes.plot([first - 0.4, last + 0.4], [middle, middle], color="black", lw=1.0)
        first = last + 1
    _draw_trials(axes, trials, key)


def _draw_trials(axes: Axes, trials: list[dict[str, Any]], key: str) -> None:
    """Draw a point for each trial, and what leads the eye from one to the next."""
    numbers, values = zip(
        *((number, trial[key]) for number, trial in enumerate(trials, 1) if trial.get(key) is not None),
        strict=True,
    )
    group = mean_of(trials)
    if group == 1:
        axes.plot(numbers, values, color=style.GREY, lw=0.5, zorder=1)
    else:
        parts = np.arange(group, len(values), group)
        x, y = ([part.mean() for part in np.split(np.array(one, float), parts)] for one in (numbers, values))
        axes.plot(x, y, color="white", lw=2.0, zorder=3)
        axes.plot(x, y, color="black", lw=0.8, zorder=3.1)
    size = 3.2 if group == 1 else 1.2
    for number, trial in enumerate(trials, start=1):
        if trial.get(key) is not None:
            colour = style.colour_of(trial.get("outcome"))
            face = "white" if trial.get("catch") else colour
            axes.plot(number, trial[key], marker="o", ms=size, mfc=face, mec=colour, mew=size / 4, ls="none")


def mean_of(trials: list[dict[str, Any]]) -> int:
    """Return of how many trials the line joins means; 1 where it joins each of them."""
    return 1 if len(trials) < MANY_TRIALS else -(-len(trials) // MEANS)


def _name_blocks(axes: Axes, trials: list[dict[str, Any]]) -> None:
    """Write each block's name over its middle, higher where it would hide another."""
    first, ends = 0.0, [0.0]
    for name, members in by_block(trials):
        part = len(members) / len(trials)
        width = _NAME_WIDTH * len(name)
        left = max(first + (part - width) / 2, 0.0)
        level = next((at for at, end in enumerate(ends) if end <= left), len(ends))
        ends[level : level + 1] = [left + width + _NAME_WIDTH]
        height = 1.02 + _LEVEL_HEIGHT * level
        axes.text(left + width / 2, height, name, transform=axes.transAxes, ha="center", va="bottom")
        first += part


def _handles(trials: list[dict[str, Any]]) -> list[Line2D | Patch]:
    names = dict.fromkeys(str(trial.get("outcome")) for trial in trials)
    handles: list[Line2D | Patch] = [
        Line2D([], [], marker="o", ms=3.2, ls="none", color=style.colour_of(name),
               label=style.OUTCOME_LABELS.get(name, name))
        for name in names
    ]  # fmt: skip
    if any(trial.get("catch") for trial in trials):
        handles.append(Line2D([], [], marker="o", ms=3.2, ls="none", mfc="white", mec="black", label="catch"))
    if (group := mean_of(trials)) == 1:
        handles.append(Line2D([], [], color="black", lw=1.0, label="block mean ± SE"))
    else:
        handles.append(Line2D([], [], color="black", lw=0.8, label=f"mean of {group} trials"))
    if any(trial.get("lateral_force_mN") for trial in trials):
        handles.append(Patch(color=style.FORCE_COLOUR, alpha=style.FORCE_ALPHA, lw=0, label="lateral force"))
    return handles
