"""The moving panel beside the arm: raster above, joystick plane below, one picture per moment."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from robobrain.recording import Run
from robobrain.recording.figures import data, style
from robobrain.recording.figures.paths import draw_zones
from robobrain.recording.figures.raster import GAP_ROWS, raster_rows, sampled_ids
from robobrain.recording.layout import FloatArray

RASTER_MS = 1000.0
TRAIL_MS = 400.0
READ_MS = 10_000.0
DPI = 150


class Panel:
    """Draws what brain and joystick did up to a moment.

    What stays the same is drawn once; per picture only points, trail and time are. Use it within
    ``figures.styled()``.

    Args:
        run: The run.
        width: Width of the pictures in pixels.
        height: Their height.
        t0_ms: The first moment.
        t1_ms: The last one.
        remark: Text beside the time, such as the factor of slow motion.
    """

    def __init__(
        self, run: Run, width: int, height: int, *, t0_ms: float, t1_ms: float, remark: str = ""
    ) -> None:
        self._run, self._remark = run, remark
        self._trials = [t for t in run.trials if t.get("end_ms") is not None]
        self._joystick = data.samples(run, "joystick_mm", t0_ms - TRAIL_MS, t1_ms + 1.0)
        self._loaded = (0.0, 0.0)
        figure = style.new_figure(1.0)
        figure.set_dpi(DPI)
        figure.set_size_inches(width / DPI, height / DPI)
        raster, plane = figure.subplots(2, 1, height_ratios=[1.25, 1])
        self._points = self._prepare_raster(raster)
        self._trail, self._place = self._prepare_plane(plane)
        self._text = figure.text(0.02, 0.995, "", va="top", fontsize=8)
        figure.suptitle(" ", fontsize=9)
        self._figure: Figure = figure
        self._moving = [*self._points, self._trail, self._place, self._text]
        for artist in self._moving:
            artist.set_animated(True)
        self._canvas = cast("Any", figure.canvas)  # Agg's, which the types don't know
        self._canvas.draw()
        self._still: Any = self._canvas.copy_from_bbox(figure.bbox)

    def draw(self, t_ms: float) -> NDArray[np.uint8]:
        """Return the picture [height, width, 3] of the moment ``t_ms``."""
        self._move_points(t_ms)
        self._move_joystick(t_ms)
        self._text.set_text(self._caption(t_ms))
        self._canvas.restore_region(self._still)
        for artist in self._moving:
            (artist.axes or self._figure).draw_artist(artist)
        return np.asarray(self._canvas.buffer_rgba())[..., :3].copy()

    def _prepare_raster(self, axes: Axes) -> list[Any]:
        """Set up the axes with a row per sampled neuron and return the points of each region."""
        points, ticks, row = [], [], 0
        regions = data.populations_by_region(self._run)
        for region, populations in regions.items():
            ids = sampled_ids(populations)
            ticks.append((row + len(ids) / 2, region))
            (drawn,) = axes.plot(
                [], [], ls="none", marker=".", ms=1.6, mew=0, color=style.region_colour(region)
            )
            points.append(drawn)
            row += len(ids) + GAP_ROWS
        self._row_of, self._region_of = raster_rows(list(regions.values()))
        axes.set_xlim(-RASTER_MS / 1e3, 0)
        axes.set_ylim(max(row, 1), -GAP_ROWS)
        axes.set_yticks([place for place, _ in ticks])
        for label, (_, region) in zip(axes.set_yticklabels([r for _, r in ticks]), ticks, strict=True):
            label.set_color(style.region_colour(region))
        axes.tick_params(left=False)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("time from now (s)")
        return points

    def _prepare_plane(self, axes: Axes) -> tuple[Any, Any]:
        """Set up the joystick plane and return trail and tip."""
        axes.set_aspect("equal")
        axes.set_xlim(-7, 7)
        axes.set_ylim(-2.5, 11)
        draw_zones(axes, (self._run.manifest.get("task") or {}).get("zones") or {})
        axes.set_xlabel("lateral (mm)")
        axes.set_ylabel("pull (mm)")
        (trail,) = axes.plot([], [], color=style.PULL_COLOUR, lw=1.2)
        (tip,) = axes.plot([], [], marker="o", ms=5, color="black", ls="none")
        return trail, tip

    def _move_points(self, t_ms: float) -> None:
        times, senders = self._spikes(t_ms - RASTER_MS, t_ms)
        rows = data.look_up(self._row_of, senders)
        region = data.look_up(self._region_of, senders)
        since_s = (times - t_ms) / 1e3
        for index, points in enumerate(self._points):
            chosen = (region == index) & (rows >= 0)
            points.set_data(since_s[chosen], rows[chosen])

    def _spikes(self, t0_ms: float, t1_ms: float) -> tuple[FloatArray, NDArray[np.uint32]]:
        """Return the spikes of a window; the store is read in long pieces."""
        low, high = self._loaded
        if not (low <= t0_ms and t1_ms <= high):
            self._loaded = (t0_ms, t0_ms + READ_MS)
            self._held = self._run.spikes(None, *self._loaded)
        times, senders = self._held
        inside = slice(*np.searchsorted(times, [t0_ms, t1_ms]))
        return times[inside], senders[inside]

    def _move_joystick(self, t_ms: float) -> None:
        if self._joystick is None:
            return
        times, places = self._joystick
        first, last = np.searchsorted(times, [t_ms - TRAIL_MS, t_ms + 1e-6])
        path = places[first:last]
        self._trail.set_data(path[:, 0], path[:, 1])
        self._place.set_data(path[-1:, 0], path[-1:, 1])
        trial = self._trial(t_ms)
        ended = trial is not None and t_ms >= trial["end_ms"]
        self._place.set_color(style.colour_of(trial["outcome"]) if trial and ended else "black")

    def _trial(self, t_ms: float) -> dict[str, Any] | None:
        """Return the trial that began last."""
        begun = [t for t in self._trials if t.get("begin_ms") is not None and t["begin_ms"] <= t_ms]
        return begun[-1] if begun else None

    def _caption(self, t_ms: float) -> str:
        parts = [f"{t_ms / 1e3:7.2f} s"]
        trial = self._trial(t_ms)
        if trial is not None and t_ms < trial["end_ms"]:
            parts.append(f"trial {trial.get('trial', '')}, {trial.get('block', '')}")
        elif trial is not None:
            parts.append(style.OUTCOME_LABELS.get(trial["outcome"], trial["outcome"]))
        return "   ".join([*parts, self._remark] if self._remark else parts)
