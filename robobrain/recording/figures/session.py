"""The session at a glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

from robobrain.recording.figures import data, style
from robobrain.recording.layout import FloatArray
from robobrain.recording.reader import Run

PHASE_COLOURS = {"brain": "#D55E00", "body": "#0072B2", "exchange": "#E69F00", "task": "#009E73"}
MOST_BINS = 400


def session(run: Run) -> Figure:
    """Return joystick pull, outcomes, lateral force, region rates and phase times over the session.

    Panels of what was not recorded are left out.
    """
    panels = [
        (height, draw) for stream, height, draw in _PANELS if stream is None or data.samples(run, stream)
    ]
    figure = style.new_figure(0.7 + sum(height for height, _ in panels))
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=[h for h, _ in panels])[
        :, 0
    ]
    for axes, (_, draw) in zip(grid, panels, strict=True):
        draw(axes, run)
    first, last = run.span_ms
    grid[-1].set_xlim(first / 1e3, max(last, first + 1.0) / 1e3)
    grid[-1].set_xlabel("session time (s)")
    figure.align_ylabels(list(grid))
    figure.suptitle(_headline(run), fontsize=8.5, x=0.01, ha="left")
    return figure


def _headline(run: Run) -> str:
    brain, manifest = run.manifest.get("brain") or {}, run.manifest
    first, last = run.span_ms
    parts = [run.path.name, f"{(last - first) / 1e3:.1f} s"]
    if brain.get("size"):
        neurons = f" ({brain['neurons']:,} neurons)" if brain.get("neurons") else ""
        parts.append(f"brain {brain['size']}{neurons}")
    if manifest.get("seed") is not None:
        parts.append(f"seed {manifest['seed']}")
    if run.status != "complete":
        parts.append(run.status)
    return " · ".join(parts)


def _draw_outcomes(axes: Axes, run: Run) -> None:
    """Draw each trial as a block in the colour of its outcome."""
    trials = [t for t in run.trials if t.get("begin_ms") is not None and t.get("end_ms") is not None]
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylabel("trials", rotation=0, ha="right", va="center")
    if not trials:
        style.say(axes, "no trial ended")
        return
    for trial in trials:
        begin = trial["cue_ms"] if trial.get("cue_ms") is not None else trial["begin_ms"]
        axes.axvspan(begin / 1e3, trial["end_ms"] / 1e3, color=style.colour_of(trial.get("outcome")), lw=0)
    counts = Counter(str(trial.get("outcome")) for trial in trials)
    handles = [
        Patch(
            color=style.colour_of(name), label=f"{style.OUTCOME_LABELS.get(name, name)} {n} of {len(trials)}"
        )
        for name, n in counts.most_common()
    ]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, borderaxespad=0.2)


def _draw_pull(axes: Axes, run: Run) -> None:
    t_ms, values = run.array("joystick_mm")
    t, pull = data.thinned(t_ms, values[:, 1])
    axes.plot(t / 1e3, pull, color=style.PULL_COLOUR, lw=0.7)
    target = ((run.manifest.get("task") or {}).get("zones") or {}).get("target") or {}
    if isinstance(target.get("pull_mm"), list):
        axes.axhspan(*target["pull_mm"], color=style.ZONE_COLOUR, alpha=0.15, lw=0)
        axes.text(1.005, np.mean(target["pull_mm"]), "target", transform=axes.get_yaxis_transform(),
                  color=style.ZONE_COLOUR, va="center")  # fmt: skip
    for trial in run.trials:
        if trial.get("outcome") == "rewarded" and trial.get("end_ms") is not None:
            axes.plot(
                trial["end_ms"] / 1e3, 1.0, **style.reward_marker(), transform=axes.get_xaxis_transform()
            )
    axes.set_ylabel("joystick\npull (mm)")


def _draw_lateral(axes: Axes, run: Run) -> None:
    t_ms, values = run.array("joystick_mm")
    t, lateral = data.thinned(t_ms, values[:, 0])
    axes.plot(t / 1e3, lateral, color=style.LATERAL_COLOUR, lw=0.7)
    axes.set_ylabel("joystick\nlateral (mm)")


def _draw_force(axes: Axes, run: Run) -> None:
    t_ms, values = run.array("lateral_force_mN")
    t, force = data.thinned(t_ms, values[:, 0])
    axes.step(t / 1e3, force, where="post", color="black", lw=0.7)
    axes.set_ylim(min(-5.0, 1.1 * force.min()), max(5.0, 1.1 * force.max()))
    axes.set_ylabel("lateral\nforce (mN)")


def _binned(t_ms: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return bin centres in s and means [bins, columns]; samples stay single while they are few."""
    n = len(t_ms)
    block = max(1, n // MOST_BINS)
    kept = n // block * block
    means = values[:kept].reshape(-1, block, values.shape[1]).mean(axis=1)
    return t_ms[:kept].reshape(-1, block).mean(axis=1) / 1e3, means


def _draw_rates(axes: Axes, run: Run) -> None:
    t_ms, values = run.array("region_rate_hz")
    t_s, means = _binned(t_ms, values)
    columns = run.streams["region_rate_hz"].columns
    for region in sorted(columns, key=lambda name: [*style.REGION_COLOURS, name].index(name)):
        axes.plot(t_s, means[:, columns.index(region)], color=style.region_colour(region), label=region)
    axes.set_ylabel("region rate (Hz)")
    if (means > 0).any():
        axes.set_yscale("log", nonpositive="mask")
        axes.set_ylim(bottom=max(0.1, 0.8 * float(np.percentile(means[means > 0], 1))))
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)


def _draw_phases(axes: Axes, run: Run) -> None:
    t_ms, values = run.array("phase_time_ms")
    t_s, means = _binned(t_ms, values)
    columns = run.streams["phase_time_ms"].columns
    totals = values.sum(axis=0)
    shares = totals / totals.sum() if totals.sum() else totals
    colours = [PHASE_COLOURS.get(name, style.OTHER_COLOUR) for name in columns]
    labels = [f"{name} {share:.0%}" for name, share in zip(columns, shares, strict=True)]
    axes.stackplot(t_s, means.T, colors=colours, labels=labels, lw=0)
    axes.set_ylabel("computing time\nper exchange (ms)")
    axes.set_ylim(0, max(1e-3, 1.25 * float(np.percentile(means.sum(axis=1), 99))))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2, reverse=True)


_PANELS: tuple[tuple[str | None, float, Callable[[Axes, Run], None]], ...] = (
    (None, 0.32, _draw_outcomes),
    ("joystick_mm", 1.2, _draw_pull),
    ("joystick_mm", 0.7, _draw_lateral),
    ("lateral_force_mN", 0.6, _draw_force),
    ("region_rate_hz", 1.3, _draw_rates),
    ("phase_time_ms", 1.2, _draw_phases),
)
"""The stream that a panel needs (None: it is always there), its height in inches, and what draws it."""
