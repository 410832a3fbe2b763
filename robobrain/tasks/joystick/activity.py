"""What a brain did in the last second, as pictures beside the limb: rates as curves, spikes as a raster."""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from robobrain.recording import Population
from robobrain.recording.figures.data import look_up
from robobrain.recording.figures.raster import raster_rows
from robobrain.recording.figures.style import REGION_COLOURS, region_colour
from robobrain.tasks.joystick.loop import REGION_RATE, Frame

if TYPE_CHECKING:
    from robobrain.bridge.messages import Description, Spikes

SHOWN_MS = 1000.0
"""How far back the pictures reach."""

_LEAST_RANGE_HZ = 20.0
_DOT = 2
_LEFT, _RIGHT, _TOP = 0.16, 0.03, 0.09
"""Margins of the raster as parts of its size: its time axis lies below that of MuJoCo's figure."""
_NAME_PT, _NAMED_PIXELS = 8.0, 220
"""Size of the names beside a raster of so many pixels' height; in a higher one they grow with it."""


class Activity:
    """Keeps the frames of the last second and draws them; the newest is at the right.

    Args:
        brain: The brain of the frames.
    """

    def __init__(self, brain: Description) -> None:
        self._frames: deque[Frame] = deque(maxlen=max(int(SHOWN_MS / brain.exchange_ms), 1))
        self._spikes: deque[Spikes] = deque()
        self._regions = next((port.channels for port in brain.outputs if port.name == REGION_RATE), ())
        raster_regions, self._row_of, self._region_of = raster_order(brain)
        self._rows = int(self._row_of.max(initial=0)) + 1
        self._colours = np.array([to_rgb(region_colour(region)) for region in raster_regions]).reshape(-1, 3)
        self._names = tuple(
            (region, float(rows[rows >= 0].mean()) / self._rows)
            for number, region in enumerate(raster_regions)
            if len(rows := self._row_of[self._region_of == number]) and (rows >= 0).any()
        )

    def add(self, frame: Frame) -> None:
        """Take the newest frame."""
        self._frames.append(frame)
        self.add_spikes(frame.spikes)

    def add_spikes(self, spikes: Spikes | None) -> None:
        """Take spikes that no frame has, as ``Loop.collect`` gives them."""
        if spikes is not None and len(spikes.t_ms):
            self._spikes.append(spikes)
        while self._spikes and self._spikes[0].t_ms[-1] <= self._frames[-1].t_ms - SHOWN_MS:
            self._spikes.popleft()

    def rates(self) -> mujoco.MjvFigure:
        """Return the regions' rates (Hz) over the time before now (s) as a figure of MuJoCo's viewer."""
        figure = mujoco.MjvFigure()
        mujoco.mjv_defaultFigure(figure)
        figure.title, figure.xlabel = "rates (Hz)", "time from now (s)"
        figure.flg_legend, figure.flg_extend = 0, 0  # the raster below names the regions in their colours
        figure.linewidth, figure.gridsize, figure.xformat = 2.0, [3, 3], "%.1f"
        figure.figurergba = figure.panergba = [1.0, 1.0, 1.0, 1.0]
        figure.textrgb, figure.gridrgb = [0.1, 0.1, 0.1], [0.8, 0.8, 0.8]
        since_s = np.array([frame.t_ms - self._frames[-1].t_ms for frame in self._frames]) / 1e3
        values_hz = np.array([frame.region_rate_hz for frame in self._frames])
        highest_hz = max(float(values_hz.max(initial=0.0)), _LEAST_RANGE_HZ)
        figure.range = [[-SHOWN_MS / 1e3, 0.0], [0.0, highest_hz]]
        for line, region in enumerate(self._regions if self._frames else ()):
            figure.linename[line] = region.encode()
            figure.linergb[line] = to_rgb(region_colour(region))
            points = np.column_stack([since_s, values_hz[:, line]]).ravel()
            figure.linepnt[line] = len(since_s)
            figure.linedata[line, : len(points)] = points
        return figure

    def raster(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return the spikes as a picture [height, width, 3]: a row per sampled neuron, coloured by region."""
        picture = _named(width, height, self._names).copy()
        if not self._spikes or not len(self._colours):
            return picture
        t_ms = np.concatenate([spikes.t_ms for spikes in self._spikes])
        sender = np.concatenate([spikes.sender for spikes in self._spikes])
        row = look_up(self._row_of, sender)
        since_ms = t_ms - self._frames[-1].t_ms
        shown = (row >= 0) & (since_ms > -SHOWN_MS) & (since_ms <= 0.0)
        left, wide, top = round(_LEFT * width), round((1.0 - _LEFT - _RIGHT) * width), round(_TOP * height)
        x = left + ((1.0 + since_ms[shown] / SHOWN_MS) * (wide - _DOT)).astype(np.int64)
        y = top + row[shown] * (height - top - _DOT) // self._rows
        colours = (255 * self._colours[look_up(self._region_of, sender)[shown]]).astype(np.uint8)
        for right in range(_DOT):
            for down in range(_DOT):
                picture[y + down, x + right] = colours
        return picture


@lru_cache(maxsize=4)
def _named(width: int, height: int, names: tuple[tuple[str, float], ...]) -> NDArray[np.uint8]:
    """Return an empty raster with the names of regions beside their rows, each at a part of the height."""
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    canvas = FigureCanvasAgg(figure)
    size = _NAME_PT * max(height / _NAMED_PIXELS, 1.0)
    if names:
        figure.text(0.5, 1.0 - _TOP / 2, "spikes of sampled neurons", size=size, ha="center", va="center")
    for name, place in names:
        below = (1.0 - _TOP) * (1.0 - place)
        figure.text(_LEFT - 0.01, below, name, size=size, color=region_colour(name), ha="right", va="center")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:height, :width, :3].copy()


def raster_order(brain: Description) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Return regions in the order of the figures, and tables from neuron to row and to region."""
    populations = [
        Population(name=p.name, region=p.region, first_id=p.first_id, size=p.size) for p in brain.populations
    ]
    found = dict.fromkeys(p.region for p in populations)
    regions = sorted(found, key=lambda region: [*REGION_COLOURS, region].index(region))
    rows, region_of = raster_rows([[p for p in populations if p.region == region] for region in regions])
    return regions, rows, region_of
