"""What is drawn over the scene: muscles coloured by activation, target zones, the lateral force.

The functions add geoms to a ``mujoco.MjvScene``: a renderer's, or the ``user_scn`` of MuJoCo's viewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from robobrain.body.forelimb import Forelimb
from robobrain.errors import ConfigurationError

Floats = NDArray[np.float64]

RELAXED_RGB = np.array([0.84, 0.60, 0.57])
ACTIVE_RGB = np.array([0.78, 0.0, 0.02])
"""Colours of a muscle at activation 0 and 1; in between they are mixed."""
FORCE_RGBA = np.array([0.95, 0.75, 0.05, 1.0], dtype=np.float32)
FORCE_M_PER_MN = 0.3e-3
"""Length of the force's arrow: 12 mm for 40 mN."""

_BELLY_M_PER_ROOT_N, _BELLY_PER_LENGTH = 0.65e-3, 0.085
_TENDON_M = 0.16e-3
_PIECES = 20
_GLOW = 0.15
"""Emission of the muscles, so that their colour reads through the skin."""
_PLANE_BELOW_TIP_M = 2.2e-3
_EYE = np.eye(3).ravel()


@dataclass(frozen=True, kw_only=True)
class Zone:
    """A rectangle in the joystick's plane, in mm from rest: lateral (+ left) and pull (+ toward the body).

    ``turn_deg`` turns it about the place of rest, from the pull toward the animal's left.
    """

    lateral_mm: tuple[float, float]
    pull_mm: tuple[float, float]
    rgba: tuple[float, float, float, float] = (0.15, 0.65, 0.30, 0.45)
    turn_deg: float = 0.0


def draw_muscles(scene: mujoco.MjvScene, body: Forelimb) -> None:
    """Draw each muscle along its path as a belly that bulges when short and reddens with activation."""
    for muscle, activation in enumerate(body.data.act):
        rgba = np.append(RELAXED_RGB + activation * (ACTIVE_RGB - RELAXED_RGB), 1.0).astype(np.float32)
        shortening = np.sqrt(body.rest_length_m[muscle] / body.data.ten_length[muscle])
        strong = _BELLY_M_PER_ROOT_N * np.sqrt(body.max_force_N[muscle])
        belly = min(strong, _BELLY_PER_LENGTH * body.rest_length_m[muscle]) * shortening
        points = _subdivide(muscle_path(body, muscle))
        place = (np.arange(_PIECES) + 0.5) / _PIECES
        radii = _TENDON_M + belly * np.sin(np.pi * place) ** 1.2
        for start, end, radius in zip(points, points[1:], radii, strict=False):
            piece = _connect(scene, start, end, shape="CAPSULE", radius=radius, rgba=rgba)
            piece.emission = _GLOW


def draw_zone(scene: mujoco.MjvScene, body: Forelimb, zone: Zone) -> None:
    """Draw a zone as a translucent plate below the tip's path, so that the tip passes over it."""
    low, high = np.array([zone.lateral_mm, zone.pull_mm]).T * 1e-3
    sine, cosine = np.sin(np.radians(zone.turn_deg)), np.cos(np.radians(zone.turn_deg))
    turn = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    centre = body.rest_tip_m + turn @ np.array([*((low + high) / 2), -_PLANE_BELOW_TIP_M])
    size = np.array([*((high - low) / 2), 0.1e-3])
    geom = _next_geom(scene)
    rgba = np.array(zone.rgba, dtype=np.float32)
    mujoco.mjv_initGeom(geom, mujoco.mjtGeom.mjGEOM_BOX, size, centre, turn.ravel(), rgba)


def draw_force(scene: mujoco.MjvScene, body: Forelimb) -> None:
    """Draw the lateral force on the joystick's tip as an arrow, if there is one."""
    force_mn = body.lateral_force_mN
    if force_mn:
        start = body.tip_m + np.array([0.0, 0.0, 3e-3])
        end = start + np.array([force_mn * FORCE_M_PER_MN, 0.0, 0.0])
        _connect(scene, start, end, shape="ARROW", radius=0.5e-3, rgba=FORCE_RGBA)


def muscle_path(body: Forelimb, muscle: int) -> Floats:
    """Return the points of a muscle's path in the scene's frame."""
    start = body.data.ten_wrapadr[muscle]
    points: Floats = body.data.wrap_xpos.reshape(-1, 3)[start : start + body.data.ten_wrapnum[muscle]]
    return points


def _subdivide(points: Floats) -> Floats:
    """Return points at equal distances along a path."""
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    places = np.linspace(0.0, lengths[-1], _PIECES + 1)
    return np.stack([np.interp(places, lengths, axis) for axis in points.T], axis=1)


def _connect(
    scene: mujoco.MjvScene,
    start: Floats,
    end: Floats,
    *,
    shape: str,
    radius: float,
    rgba: NDArray[np.float32],
) -> mujoco.MjvGeom:
    """Add a geom that reaches from ``start`` to ``end``."""
    kind = getattr(mujoco.mjtGeom, f"mjGEOM_{shape}")
    geom = _next_geom(scene)
    mujoco.mjv_initGeom(geom, kind, np.zeros(3), np.zeros(3), _EYE, rgba)
    mujoco.mjv_connector(geom, kind, radius, start, end)
    return geom


def _next_geom(scene: mujoco.MjvScene) -> mujoco.MjvGeom:
    if scene.ngeom >= scene.maxgeom:
        raise ConfigurationError(
            f"The scene is full with {scene.maxgeom} geoms. Fix: give it a larger maxgeom."
        )
    scene.ngeom += 1
    return scene.geoms[scene.ngeom - 1]
