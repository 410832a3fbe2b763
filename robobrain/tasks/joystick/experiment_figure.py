"""A figure of an experiment and its controls: each session, the mean and its interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.lines import Line2D

from robobrain.recording.figures.style import GREY, PULL_COLOUR, new_figure, styled
from robobrain.tasks.joystick.experiment import CONFIDENCE, Estimate, Session

SESSION: dict[str, Any] = {"ms": 3, "color": GREY, "ls": "none"}

PANELS = {
    "rewarded": "rewarded trials (share)",
    "peak_pull_mm": "peak pull (mm)",
    "deviation_after_mm": "lateral deviation (mm, + left)",
}


def draw_experiment(sessions: Sequence[Session], table: Sequence[Estimate], path: Path) -> None:
    """Draw one panel per measure, one column per condition, and save the figure as PNG."""
    names = list(dict.fromkeys(row.condition for row in table))
    with styled():
        figure = new_figure(2.9)
        for axes, (measure, label) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
            for session in sessions:
                axes.plot(names.index(session.condition) - 0.2, session.means[measure], marker="o", **SESSION)
            for row in table:
                if row.measure == measure:
                    place = names.index(row.condition) + 0.1
                    axes.vlines(place, row.low, row.high, color=PULL_COLOUR)
                    axes.plot(place, row.mean, "_", ms=10, color=PULL_COLOUR)
            axes.set_ylabel(label)
            labels = [name.replace("_", " ") for name in names]
            axes.set_xticks(range(len(names)), labels, rotation=40, ha="right", rotation_mode="anchor")
            axes.set_xlim(-0.6, len(names) - 0.4)
            axes.margins(y=0.08)
        marks = [
            Line2D([], [], marker="o", **SESSION, label="mean of a session"),
            Line2D([], [], color=PULL_COLOUR, label=f"mean over sessions, {CONFIDENCE:.0%} interval"),
        ]
        figure.legend(handles=marks, loc="outside lower center", ncols=2)
        figure.savefig(path)
