"""MuJoCo's interactive viewer on a body, with muscles, zones and force drawn as in pictures."""

from __future__ import annotations

import math
import threading
from time import perf_counter
from typing import Protocol

import mujoco
import mujoco.viewer
import numpy as np
from numpy.typing import NDArray

from robobrain.body.decorations import Zone, draw_force, draw_muscles, draw_zone
from robobrain.body.forelimb import Forelimb
from robobrain.body.model import RIG

FRAMES_PER_S = 30.0
"""Highest rate at which the window follows the body, so that showing holds nothing back."""


_CLOSING_S = 10.0
"""How long closing waits at most for the window's own thread."""
_LEAST_SIZE = 40
"""Width and height in pixels below which nothing is shown beside the body."""


class Beside(Protocol):
    """What is shown beside a body: a figure above a picture."""

    def rates(self) -> mujoco.MjvFigure:
        """Return the figure."""

    def raster(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return the picture [height, width, 3]."""


def places_beside(width: int, height: int) -> tuple[mujoco.MjrRect, mujoco.MjrRect]:
    """Return the upper and the lower place at the right of a window of so many pixels."""
    wide, high = max(round(0.34 * width), 16), max(round(0.42 * height), 16)
    left = width - wide
    return mujoco.MjrRect(left, height - high, wide, high), mujoco.MjrRect(left, 0, wide, high)


def pull_with(mouse: mujoco.MjvPerturb, forelimb: Forelimb) -> None:
    """Pull at a body as the mouse does in MuJoCo's viewer, or let go."""
    pulls = mouse.active & int(mujoco.mjtPertBit.mjPERT_TRANSLATE)
    forelimb.pull_by_hand(mouse.select if pulls else 0, mouse.localpos, mouse.refselpos)


class Window:
    """A window that shows a body; the mouse turns the view, and pulls at joystick and limb.

    A double click chooses a part; Ctrl and the right button then pull it, across the view or with Shift along
    the ground (``Forelimb.pull_by_hand``).

    It needs a display.

    Args:
        forelimb: The body.
        camera: Preset from which the view begins.
    """

    def __init__(self, forelimb: Forelimb, camera: str = "overview") -> None:
        self.forelimb = forelimb
        others = set(threading.enumerate())
        self._viewer = mujoco.viewer.launch_passive(
            forelimb.model, forelimb.data, show_left_ui=False, show_right_ui=False
        )
        self._drawers = [
            thread
            for thread in threading.enumerate()
            if thread not in others and "_launch_internal" in thread.name  # MuJoCo's; it has no other handle
        ]
        self._shown_s = -math.inf
        with self._viewer.lock():
            self._viewer.cam.type = mujoco.mjtCamera.mjCAMERA_FIXED
            self._viewer.cam.fixedcamid = forelimb.model.camera(RIG + camera).id
            self._viewer.opt.flags[mujoco.mjtVisFlag.mjVIS_TENDON] = False

    @property
    def is_open(self) -> bool:
        """Whether nobody has closed the window."""
        return bool(self._viewer.is_running())

    def show(
        self, zones: tuple[Zone, ...] = (), lines: tuple[str, ...] = (), beside: Beside | None = None
    ) -> None:
        """Show the body as it is now, with zones, lines of text in the corner, and pictures beside it.

        The mouse pulls at the body with each call. Of what is shown, calls that follow one another faster
        than ``FRAMES_PER_S`` change nothing.
        """
        if self.is_open:
            with self._viewer.lock():
                pull_with(self._viewer.perturb, self.forelimb)
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
        if beside is not None:
            self._show_beside(beside)
        # It takes away all outer forces, and adds one of its own that is too weak to move the joystick.
        outer = self.forelimb.data.xfrc_applied.copy()
        self._viewer.sync()
        self.forelimb.data.xfrc_applied[:] = outer
        self._shown_s = perf_counter()

    def _show_beside(self, beside: Beside) -> None:
        whole = self._viewer.viewport
        if whole is None or min(whole.width, whole.height) < _LEAST_SIZE:  # just opened, or being closed
            return
        above, below = places_beside(whole.width, whole.height)
        self._viewer.set_figures((above, beside.rates()))
        self._viewer.set_images((below, beside.raster(below.width, below.height)))

    def close(self) -> None:
        """Close the window, and wait until nothing draws the body any more; may be repeated."""
        self._viewer.close()
        for thread in self._drawers:
            thread.join(_CLOSING_S)
