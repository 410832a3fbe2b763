"""Putting a body into a recorded posture."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from robobrain.body.forelimb import Forelimb
from robobrain.body.model import JOYSTICK, LATERAL, PULL, TIP
from robobrain.body.specification import JOINT_NAMES

_ROUNDS = 6
"""Corrections of the stick's angles; each leaves a few percent of the error."""


def pose(
    body: Forelimb, *, joint_angle_rad: ArrayLike, joystick_mm: ArrayLike, activation: ArrayLike
) -> None:
    """Put the body into a posture as it was measured, at no speed; for pictures, not to go on from.

    Args:
        body: The body.
        joint_angle_rad: [4] Angles of the limb.
        joystick_mm: [2] The tip's displacement from rest, lateral and pull.
        activation: [8] Activation of the muscles, which colours them.
    """
    model, data = body.model, body.data
    data.qpos[: len(JOINT_NAMES)] = joint_angle_rad
    data.qvel[:] = 0.0
    data.act[:] = activation
    hinges = [model.joint(JOYSTICK + name).qposadr[0] for name in (LATERAL, PULL)]
    tip, lever_m = model.site(JOYSTICK + TIP), float(np.linalg.norm(model.site(JOYSTICK + TIP).pos))
    wanted_m = body.rest_tip_m[:2] + np.asarray(joystick_mm, dtype=np.float64) * 1e-3
    for _ in range(_ROUNDS):
        mujoco.mj_kinematics(model, data)
        data.qpos[hinges] += (wanted_m - data.site_xpos[tip.id, :2]) / lever_m
    mujoco.mj_step1(model, data)
