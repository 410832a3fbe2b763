"""MuJoCo's interactive viewer on a body, with muscles, zones and force drawn as in pictures."""

from __future__ import annotations

import math
from time import perf_counter

import mujoco
import mujoco.viewer

from robobrain.body.decorations import Zone, draw_force, draw_muscles, draw_zone
from robobrain.body.forelimb import Forelimb
from robobrain.body.model import RIG

FRAMES_PER_S = 30.0
"""Highest rate at which the window follows the body, so that showing holds nothing back."""


class Window:
    """A window that shows a body; the mouse turns the view.

    It needs a display.

    Args:
        forelimb: The body.
        camera: Preset from which the view begins.
    """

    def __init__(self, forelimb: Forelimb, camera: str = "overview") -> None:
        self.forelimb = forelimb
        self._viewer = mujoco.viewer.launch_passive(
            forelimb.model, forelimb.data, show_left_ui=False, show_right_ui=False
        )
        self._shown_s = -math.inf
        with self._viewer.lock():
            self._viewer.cam.type = mujoco.mjtCamera.mjCAMERA_FIXED
            self._viewer.cam.fixedcamid = forelimb.model.camera(RIG + camera).id
            self._viewer.opt.flags[mujoco.mjtVisFlag.mjVIS_TENDON] = False

    @property
    def is_open(self) -> bool:
        """Whether nobody has closed the window."""
        return bool(self._viewer.is_running())

    def show(self, zones: tuple[Zone, ...] = (), lines: tuple[str, ...] = ()) -> None:
        """Show the body as it is now, with zones, and lines of text in the corner.

        Calls that follow one another faster than ``FRAMES_PER_S`` do nothing.
        """
        now_s = perf_counter()
        if not self.is_open or now_s - self._shown_s < 1.0 / FRAMES_PER_S:
            return
        with self._viewer.lock():
            scene = self._viewer.user_scn
            scene.ngeom = 0
            draw_muscles(scene, self.forelimb)
            for zone in zones:
                draw_zone(scene, self.forelimb, zone)
            draw_force(scene, self.forelimb)
        font, place = mujoco.mjtFontScale.mjFONTSCALE_150, mujoco.mjtGridPos.mjGRID_TOPLEFT
        self._viewer.set_texts((font, place, "\n".join(lines), ""))
        self._viewer.sync()
        self._shown_s = perf_counter()

    def close(self) -> None:
        """Close the window; may be repeated."""
        self._viewer.close()
