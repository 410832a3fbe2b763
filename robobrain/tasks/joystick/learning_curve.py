"""A figure of learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from robobrain.tasks.joystick.training import Evaluation

CRITERION = 0.8


def draw_curves(curves: Mapping[str, Sequence[Evaluation]], path: Path) -> None:
    """Draw rewarded trials over steps, one line per name, and save the figure as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (heavy)
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(5.2, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.axhline(100 * CRITERION, color="0.6", linewidth=0.8, linestyle="--")
    for name, curve in curves.items():
        steps = [0.0, *(point.steps / 1e3 for point in curve)]
        axes.plot(
            steps, [0.0, *(100 * point.rewarded for point in curve)], marker="o", markersize=3, label=name
        )
    axes.set_xlabel("steps of practice (thousands)")
    axes.set_ylabel("rewarded trials of a session (%)")
    axes.set_ylim(-3, 103)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(path, dpi=150)
