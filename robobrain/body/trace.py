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
    """Finds what ``add_trace`` keeps: one ring of samples per site, of which a cursor marks the newest.

    The rings turn together, so that the cursor of the first one serves all.

    Args:
        model: A model with traces of the sites.
        data: Its data.
        sites: Names of the sites.

    Attributes:
        history: Where MuJoCo keeps the rings, and whatever else it delays.
        steps: Number of samples in a ring.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, sites: Sequence[str]) -> None:
        sensors = [model.sensor(site).id for site in sites]
        self.steps = int(model.sensor_history[sensors[0], 0])
        starts = [int(model.sensor_historyadr[sensor]) for sensor in sensors]
        self.history: Floats = data.history
        self._cursor = starts[0] + 1
        # Before the places: a number of the user's, the cursor, the times.
        self._places = np.concatenate([start + 2 + self.steps + np.arange(3) for start in starts])

    @property
    def cursor(self) -> int:
        """Which sample is the newest."""
        return int(self.history[self._cursor])

    def entries(self, cursor: int, steps: int, every: int) -> NDArray[np.int64]:
        """Return where in the history the place after each ``every``-th of the latest ``steps`` steps is.

        The newest sample is from the latest step's begin. The last place isn't there yet; some other one
        stands in for it.

        Returns:
            [steps / every, 3 per site]
        """
        samples = (cursor - np.arange(steps - 1 - every, -1 - every, -every)) % self.steps
        return self._places + 3 * samples[:, None]
