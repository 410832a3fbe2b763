"""Colours, sizes and marks that the figures share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

PAGE_INCHES = 7.2
"""Width of a two-column page (183 mm)."""

REGION_COLOURS = {
    "S1": "#0072B2",
    "M1": "#D55E00",
    "VM": "#56B4E9",
    "VL": "#E69F00",
    "BG": "#009E73",
    "CB_S1": "#CC79A7",
    "CB_M1": "#000000",
}
"""Regions in the order of the figures; each cortex is followed by what it talks to."""

OUTCOME_COLOURS = {
    "rewarded": "#009E73",
    "missed": "#D55E00",
    "returned": "#CC79A7",
    "timeout": "#E69F00",
    "no_response": "#999999",
}
OUTCOME_LABELS = {"timeout": "time-out", "no_response": "no response", "no_home": "never at home"}
LATERAL_COLOUR, PULL_COLOUR = "#CC79A7", "#0072B2"
FORCE_COLOUR, ZONE_COLOUR, GREY = "#F0E442", "#009E73", "#999999"
FORCE_ALPHA = 0.4
OTHER_COLOUR = GREY


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Draw in this project's style within the block and leave matplotlib's settings as they were."""
    style = resources.files("robobrain.recording") / "data" / "robobrain.mplstyle"
    with resources.as_file(style) as path, mpl.rc_context(fname=path):
        yield


def new_figure(height_inches: float, layout: Literal["constrained", "compressed"] = "constrained") -> Figure:
    """Return an empty figure of page width that draws by itself, without pyplot or a display.

    Args:
        height_inches: Its height.
        layout: "compressed" for axes of equal aspect.
    """
    figure = Figure(figsize=(PAGE_INCHES, height_inches), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def columns_of(panels: int, most: int) -> int:
    """Return how many columns share out panels evenly over as few rows as at most so many columns need."""
    rows = -(-panels // most)
    return -(-panels // rows)


def clipped(text: str, most: int) -> str:
    """Return a text of at most so many characters, with an ellipsis in place of its middle."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"


def region_colour(region: str) -> str:
    """Return the colour of a region, grey for one that has none."""
    return REGION_COLOURS.get(region, OTHER_COLOUR)


def say(axes: Axes, text: str) -> None:
    """Write into empty axes why they are empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)


def mark_trials(axes: Axes, trials: Iterable[Mapping[str, Any]], *, marks: bool = True) -> None:
    """Draw trials over a time axis in seconds: cue (dotted), start line crossed (line), reward (triangle)."""
    for trial in trials:
        if trial.get("cue_ms") is not None:
            axes.axvline(trial["cue_ms"] / 1e3, color="black", lw=0.6, ls=(0, (1, 1.5)), zorder=0.5)
        if trial.get("start_ms") is not None:
            axes.axvline(trial["start_ms"] / 1e3, color="black", lw=0.6, zorder=0.5)
        if marks and trial.get("outcome") == "rewarded" and trial.get("end_ms") is not None:
            axes.plot(trial["end_ms"] / 1e3, 1.0, **reward_marker(), transform=axes.get_xaxis_transform())


def reward_marker() -> dict[str, Any]:
    """Return how a reward is drawn on the upper edge of the axes."""
    colour = OUTCOME_COLOURS["rewarded"]
    return {
        "marker": "v",
        "ms": 4.5,
        "mfc": colour,
        "mec": "white",
        "mew": 0.4,
        "ls": "none",
        "clip_on": False,
    }


def mark_handles(*, force: bool) -> list[Line2D | Patch]:
    """Return the legend of `mark_trials`."""
    handles: list[Line2D | Patch] = [
        Line2D([], [], color="black", lw=0.6, ls=(0, (1, 1.5)), label="cue"),
        Line2D([], [], color="black", lw=0.6, label="start line crossed"),
        Line2D([], [], **reward_marker(), label="reward"),
    ]
    if force:
        handles.append(Patch(color=FORCE_COLOUR, alpha=FORCE_ALPHA, lw=0, label="lateral force"))
    return handles


def colour_of(outcome: object) -> str:
    """Return the colour of a trial's outcome."""
    return OUTCOME_COLOURS.get(str(outcome), OTHER_COLOUR)
