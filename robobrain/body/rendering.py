"""Pictures of the body, with or without a screen."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from types import TracebackType
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from robobrain.body.decorations import Zone, draw_force, draw_muscles, draw_zone
from robobrain.body.forelimb import Forelimb
from robobrain.body.model import RIG
from robobrain.body.rig import CAMERAS
from robobrain.errors import ConfigurationError

_MAX_GEOMS = 1000
_HELP = (
    "Fix: install OpenGL with software rendering (Debian: apt install libegl1 libgl1 libgl1-mesa-dri), set"
    " MUJOCO_GL=egl, or go without pictures."
)


class Renderer:
    """Makes pictures of a body as it is at the moment.

    Args:
        forelimb: The body.
        width: Width of the pictures in pixels.
        height: Height of the pictures in pixels.
        camera: A preset: overview, side, top or close.
        zones: Zones of the joystick's plane to show; may be changed at any time, as may ``lines``, the text
            in the picture's corner.

    Raises:
        ConfigurationError: An unknown camera, an impossible size, or no OpenGL on this machine.
    """

    def __init__(
        self,
        forelimb: Forelimb,
        width: int = 640,
        height: int = 480,
        camera: str = "overview",
        zones: Sequence[Zone] = (),
    ) -> None:
        limits = forelimb.model.vis.global_
        if not (0 < width <= limits.offwidth and 0 < height <= limits.offheight):
            raise ConfigurationError(
                f"A picture of {width} x {height} pixels can't be made."
                f" Fix: give a size up to {limits.offwidth} x {limits.offheight}."
            )
        self.forelimb = forelimb
        self.zones = tuple(zones)
        self.lines: tuple[str, ...] = ()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self.camera = camera
        self._gl: Any = _open_context(width, height)
        self._context: Any = mujoco.MjrContext(forelimb.model, mujoco.mjtFontScale.mjFONTSCALE_150.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._viewport = mujoco.MjrRect(0, 0, width, height)
        self._scene = mujoco.MjvScene(forelimb.model, maxgeom=_MAX_GEOMS)
        self._options = mujoco.MjvOption()
        self._options.flags[mujoco.mjtVisFlag.mjVIS_TENDON] = False
        self._perturbation = mujoco.MjvPerturb()

    @property
    def camera(self) -> str:
        """Name of the camera preset."""
        return self._camera_name

    @camera.setter
    def camera(self, name: str) -> None:
        if name not in CAMERAS:
            raise ConfigurationError(f"camera {name!r} is unknown. Fix: choose one of {', '.join(CAMERAS)}.")
        self._camera.fixedcamid = self.forelimb.model.camera(RIG + name).id
        self._camera_name = name

    def render(self, *, depth: bool = False) -> NDArray[Any]:
        """Return a picture of the body now.

        Args:
            depth: Return distances instead of colours.

        Returns:
            uint8 [height, width, 3], or with ``depth`` the distance from the camera in m, float32
            [height, width].

        Raises:
            ConfigurationError: The renderer was closed.
        """
        if self._context is None:
            raise ConfigurationError("The renderer is closed. Fix: make a new one.")
        body = self.forelimb
        self._gl.make_current()
        mujoco.mjv_updateScene(
            body.model, body.data, self._options, self._perturbation, self._camera,
            mujoco.mjtCatBit.mjCAT_ALL.value, self._scene,
        )  # fmt: skip
        draw_muscles(self._scene, body)
        for zone in self.zones:
            draw_zone(self._scene, body, zone)
        draw_force(self._scene, body)
        mujoco.mjr_render(self._viewport, self._scene, self._context)
        if self.lines and not depth:
            mujoco.mjr_overlay(
                mujoco.mjtFont.mjFONT_NORMAL.value, mujoco.mjtGridPos.mjGRID_TOPLEFT.value, self._viewport,
                "\n".join(self.lines), "", self._context,
            )  # fmt: skip
        return self._read_depth() if depth else self._read_colours()

    def close(self) -> None:
        """Free the OpenGL context; closing twice does no harm."""
        if self._context is not None:
            self._gl.make_current()
            self._context.free()
            self._gl.free()
            self._context = self._gl = None

    def __enter__(self) -> Renderer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_colours(self) -> NDArray[np.uint8]:
        picture = np.empty((self._viewport.height, self._viewport.width, 3), dtype=np.uint8)
        mujoco.mjr_readPixels(picture, None, self._viewport, self._context)
        return np.flipud(picture)

    def _read_depth(self) -> NDArray[np.float32]:
        """Turn the depth buffer, 1 at the near plane and 0 at the far one, into distances."""
        picture = np.empty((self._viewport.height, self._viewport.width), dtype=np.float32)
        mujoco.mjr_readPixels(None, picture, self._viewport, self._context)
        model = self.forelimb.model
        near = model.vis.map.znear * model.stat.extent
        far = model.vis.map.zfar * model.stat.extent
        return np.flipud(near * far / (near + picture * (far - near)))


def _open_context(width: int, height: int) -> Any:
    """Return a current OpenGL context: of ``MUJOCO_GL`` if set, else the first of those that work here."""
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    on_screen = ["glfw"] if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") else []
    problems = []
    for backend in [wanted] if wanted in ("egl", "osmesa", "glfw") else ["egl", "osmesa", *on_screen]:
        try:
            context = import_module(f"mujoco.{backend}").GLContext(width, height)
            context.make_current()
        except Exception as error:  # the backends raise anything, from ImportError to AttributeError
            problems.append(f"{backend}: {error}")
        else:
            return context
    raise ConfigurationError(f"No picture can be made, OpenGL doesn't start ({'; '.join(problems)}). {_HELP}")
