"""What a brain did in the last second, as pictures beside the limb: rates as curves, spikes as a raster."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from robobrain.recording import Population
from robobrain.recording.figures.data import look_up
from robobrain.recording.figures.raster import raster_rows
from robobrain.recording.figures.style import REGION_COLOURS, region_colour
from robobrain.tasks.joystick.loop import REGION_RATE, Frame

if TYPE_CHECKING:
    from robobrain.bridge.messages import Description

SHOWN_MS = 1000.0
"""How far back the pictures reach."""

_LEAST_RANGE_HZ = 20.0
_BACKGROUND = 20
_DOT = 2


class Activity:
    """Keeps the frames of the last second and draws them; the newest is at the right.

    Args:
        brain: The brain of the frames.
    """

    def __init__(self, brain: Description) -> None:
        self._frames: deque[Frame] = deque(maxlen=max(int(SHOWN_MS / brain.exchange_ms), 1))
        self._regions = next((port.channels for port in brain.outputs if port.name == REGION_RATE), ())
        raster_regions, self._row_of, self._region_of = raster_order(brain)
        self._rows = int(self._row_of.max(initial=0)) + 1
        self._colours = np.array([to_rgb(region_colour(region)) for region in raster_regions]).reshape(-1, 3)

    def add(self, frame: Frame) -> None:
        """Take the newest frame."""
        self._frames.append(frame)

    def rates(self) -> mujoco.MjvFigure:
        """Return the regions' rates (Hz) over the time before now (s) as a figure of MuJoCo's viewer."""
        figure = mujoco.MjvFigure()
        mujoco.mjv_defaultFigure(figure)
        figure.title, figure.xlabel = "rates (Hz)", "time from now (s)"
        figure.flg_legend, figure.flg_extend = 1, 0
        figure.linewidth, figure.gridsize = 1.5, [3, 3]
        figure.figurergba = [0.08, 0.08, 0.08, 0.9]
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
        picture = np.full((height, width, 3), _BACKGROUND, dtype=np.uint8)
        kept = [frame.spikes for frame in self._frames if frame.spikes is not None]
        if not kept or not len(self._colours):
            return picture
        t_ms = np.concatenate([spikes.t_ms for spikes in kept])
        sender = np.concatenate([spikes.sender for spikes in kept])
        row = look_up(self._row_of, sender)
        since_ms = t_ms - self._frames[-1].t_ms
        shown = (row >= 0) & (since_ms > -SHOWN_MS) & (since_ms <= 0.0)
        x = ((1.0 + since_ms[shown] / SHOWN_MS) * (width - _DOT)).astype(np.int64)
        y = row[shown] * (height - _DOT) // self._rows
        colours = (255 * self._colours[look_up(self._region_of, sender)[shown]]).astype(np.uint8)
        for right in range(_DOT):
            for down in range(_DOT):
                picture[y + down, x + right] = colours
        return picture


def raster_order(brain: Description) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Return regions in the order of the figures, and tables from neuron to row and to region."""
    populations = [
        Population(name=p.name, region=p.region, first_id=p.first_id, size=p.size) for p in brain.populations
    ]
    found = dict.fromkeys(p.region for p in populations)
    regions = sorted(found, key=lambda region: [*REGION_COLOURS, region].index(region))
    rows, region_of = raster_rows([[p for p in populations if p.region == region] for region in regions])
    return regions, rows, region_of
