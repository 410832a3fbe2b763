"""Pictures of a body for the environments' render modes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from robobrain.body.rig import CAMERAS
from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick.trial import JoystickTask, Phase

if TYPE_CHECKING:
    from robobrain.body import Forelimb, Renderer, Zone

RENDER_MODES = ("human", "rgb_array", "depth_array")
HOME_RGB, TARGET_RGB = (0.35, 0.45, 0.75), (0.15, 0.65, 0.30)


def usable_render_modes() -> list[str]:
    """Return the render modes this machine can serve: ``human`` needs a display."""
    return [mode for mode in RENDER_MODES if mode != "human" or has_display()]


class Screen:
    """Shows a body and its task in one render mode. What it needs is opened with the first picture.

    Args:
        body: The body to show.
        task: Its home and target are drawn under the joystick, its state is written.
        mode: One of ``RENDER_MODES``, or None for no pictures.
        width: Width of pictures in pixels.
        height: Height of pictures in pixels.
        camera: Name of the camera.

    Raises:
        ConfigurationError: The mode or the camera is unknown, or this machine can't serve the mode.
    """

    def __init__(
        self, body: Forelimb, task: JoystickTask, mode: str | None, *, width: int, height: int, camera: str
    ) -> None:
        if mode is not None and mode not in RENDER_MODES:
            raise ConfigurationError(
                f"Unknown render mode {mode!r}; the modes are {', '.join(RENDER_MODES)}."
            )
        if mode == "human" and not has_display():
            raise ConfigurationError(
                "render_mode='human' needs a display and there is none; "
                "use render_mode='rgb_array' for pictures."
            )
        if camera not in CAMERAS:
            raise ConfigurationError(f"Unknown camera {camera!r}; the cameras are {', '.join(CAMERAS)}.")
        self._body, self._task, self.mode = body, task, mode
        self._width, self._height, self._camera = width, height, camera
        self._opened: Any = None

    def render(self) -> NDArray[np.uint8] | NDArray[np.float32] | None:
        """Return a picture [height, width, 3] or depths in m [height, width]; ``human`` shows its window."""
        if self.mode is None:
            raise ConfigurationError(
                "Choose a render_mode when making the environment, e.g. render_mode='rgb_array'."
            )
        if self._opened is None:
            self._opened = self._open()
        picture: NDArray[np.uint8] | NDArray[np.float32] | None = self._opened.show(
            task_zones(self._task), task_lines(self._task)
        )
        return picture

    @property
    def is_open(self) -> bool:
        """Whether the window was not closed by its user; True before it was opened."""
        return self._opened is None or bool(getattr(self._opened, "is_open", True))

    def close(self) -> None:
        """Close the window or free the graphics context; may be repeated."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _open(self) -> Any:
        if self.mode == "human":
            from robobrain.body.window import Window  # noqa: PLC0415 (needs a display)

            return Window(self._body, self._camera)
        from robobrain.body.rendering import Renderer  # noqa: PLC0415 (needs OpenGL)

        renderer = Renderer(self._body, self._width, self._height, self._camera)
        return _Pictures(renderer, depth=self.mode == "depth_array")


class _Pictures:
    """A renderer that makes pictures of one kind."""

    def __init__(self, renderer: Renderer, *, depth: bool) -> None:
        self._renderer, self._depth = renderer, depth
        self.close = renderer.close

    def show(self, zones: tuple[Zone, ...], lines: tuple[str, ...]) -> NDArray[Any]:
        self._renderer.zones, self._renderer.lines = zones, lines
        return self._renderer.render(depth=self._depth)


def task_zones(task: JoystickTask) -> tuple[Zone, ...]:
    """Return home and target of a task as zones to draw; the target is brighter while it is held."""
    from robobrain.body.decorations import Zone  # noqa: PLC0415 (loads MuJoCo)

    target, radius_mm = task.spec.target, task.spec.home.radius_mm
    opacity = {Phase.HOLDING: 0.9, Phase.READY: 0.6, Phase.MOVING: 0.6}.get(task.phase, 0.3)
    return (
        Zone(
            lateral_mm=(-radius_mm, radius_mm),
            pull_mm=(-radius_mm, radius_mm),
            rgba=(*HOME_RGB, 0.6 if task.phase is Phase.HOME else 0.25),
        ),
        Zone(
            lateral_mm=(-target.half_width_mm, target.half_width_mm),
            pull_mm=(target.near_mm, target.far_mm),
            rgba=(*TARGET_RGB, opacity),
            turn_deg=task.direction_deg,
        ),
    )


def task_lines(task: JoystickTask) -> tuple[str, ...]:
    """Return the state of a task in words: trial and block, phase, force."""
    if task.trial == 0:
        return (f"{task.phase.value}",)
    return (
        f"trial {task.trial}, {task.spec.block_of(task.trial).name}",
        f"{task.phase.value}, {task.t_ms / 1e3:.2f} s",
        *force_lines(task.lateral_force_mN),
    )


def force_lines(force_mN: float) -> tuple[str, ...]:
    """Return a lateral force in words; nothing for none."""
    side = "left" if force_mN > 0.0 else "right"
    return (f"force {abs(force_mN):.0f} mN {side}",) if force_mN else ()


def has_display() -> bool:
    """Say whether windows can be opened here."""
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
