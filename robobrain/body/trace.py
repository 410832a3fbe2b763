"""Where sites of the model were in the latest physics steps, sampled by MuJoCo itself."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TRACE_MS = 10.0
"""How far back a trace reaches: the default period of an exchange."""


def add_trace(scene: mujoco.MjSpec, site: str) -> None:
    """Let MuJoCo keep the places of ``site`` at the beginnings of the latest physics steps."""
    sensor = scene.add_sensor(name=site, type=mujoco.mjtSensor.mjSENS_FRAMEPOS)
    sensor.objtype = mujoco.mjtObj.mjOBJ_SITE
    sensor.objname = site
    sensor.nsample = round(TRACE_MS * 1e-3 / scene.option.timestep)


class Trace:
    """Reads what ``add_trace`` keeps: one ring of samples per site, of which a cursor marks the newest.

    The rings turn together, so that the cursor of the first one serves all.

    Args:
        model: A model with traces of the sites.
        data: Its data.
        sites: Names of the sites.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, sites: Sequence[str]) -> None:
        sensors = [model.sensor(site).id for site in sites]
        self._now = [data.site_xpos[model.site(site).id] for site in sites]
        self.steps = int(model.sensor_history[sensors[0], 0])
        starts = [int(model.sensor_historyadr[sensor]) for sensor in sensors]
        self._history = data.history
        self._cursor = starts[0] + 1
        # Before the places: a number of the user's, the cursor, the times.
        self._places = np.concatenate([start + 2 + self.steps + np.arange(3) for start in starts])
        self._wanted: dict[tuple[int, int, int], NDArray[np.int64]] = {}

    def read(self, steps: int, every: int) -> Floats:
        """Return each ``every``-th place of the latest ``steps`` steps, the last one as it is now.

        Returns:
            [steps / every, 3 per site] in m.
        """
        wanted = int(self._history[self._cursor]), steps, every
        if wanted not in self._wanted:
            self._wanted[wanted] = self._entries(*wanted)
        places: Floats = self._history.take(self._wanted[wanted])
        for site, place in enumerate(self._now):
            places[-1, 3 * site : 3 * site + 3] = place
        return places

    def _entries(self, cursor: int, steps: int, every: int) -> NDArray[np.int64]:
        """Return where in the history the places are; the newest sample is from the latest step's begin.

        That of now isn't there yet; some other one stands in for it.
        """
        samples = (cursor - np.arange(steps - 1 - every, -1 - every, -every)) % self.steps
        return self._places + 3 * samples[:, None]
