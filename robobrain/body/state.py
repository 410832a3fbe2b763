"""What can be measured on the body at one instant, kept in one vector."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_JOYSTICK, _SPEED, _PAW, _ANGLE, _TURNING = slice(2), slice(2, 4), slice(4, 7), slice(7, 11), slice(11, 15)
_STRAIN, _STRETCHING, _FORCE, _ACTIVATION = slice(15, 23), slice(23, 31), slice(31, 39), slice(39, 47)
_COURSE, _GRIP = slice(47, 67), slice(67, 70)


@dataclass(eq=False, slots=True)
class BodyState:
    """What can be measured on the body at one instant; its parts are views of one vector of its own.

    Attributes:
        values: All parts, where ``PARTS`` says, in the units that their names say. What was read in the same
            go may follow.
    """

    values: Floats

    PARTS: ClassVar[Mapping[str, slice]] = MappingProxyType({
        "joystick_mm": _JOYSTICK,
        "joystick_velocity_mm_s": _SPEED,
        "paw_mm": _PAW,
        "joint_angle_rad": _ANGLE,
        "joint_velocity_rad_s": _TURNING,
        "muscle_strain": _STRAIN,
        "muscle_velocity_per_s": _STRETCHING,
        "muscle_force": _FORCE,
        "muscle_activation": _ACTIVATION,
        "physics": _COURSE,
        "grip_N": _GRIP,
    })  # fmt: skip
    """Where each part is; those that environments observe follow one another as they do there."""

    @property
    def muscle_strain(self) -> Floats:
        """Path length of the muscles relative to rest, L / L_rest - 1, [8]."""
        return self.values[_STRAIN]

    @property
    def muscle_velocity_per_s(self) -> Floats:
        """Speed of lengthening, dL/dt / L_rest, [8]."""
        return self.values[_STRETCHING]

    @property
    def muscle_force(self) -> Floats:
        """Pull on the tendon as fraction of the muscle's largest isometric force, [8]."""
        return self.values[_FORCE]

    @property
    def muscle_activation(self) -> Floats:
        """Activation, 0 to 1, [8]."""
        return self.values[_ACTIVATION]

    @property
    def joint_angle_rad(self) -> Floats:
        """Angles, 0 in the posture of the data file, [4]."""
        return self.values[_ANGLE]

    @property
    def joint_velocity_rad_s(self) -> Floats:
        """Angular speeds, [4]."""
        return self.values[_TURNING]

    @property
    def joystick_mm(self) -> Floats:
        """Tip relative to rest: lateral (+ the animal's left), pull (+ toward its body), [2]."""
        return self.values[_JOYSTICK]

    @property
    def joystick_velocity_mm_s(self) -> Floats:
        """The tip's speed along the same axes, [2]."""
        return self.values[_SPEED]

    @property
    def paw_mm(self) -> Floats:
        """Grip of the paw relative to rest: left, caudal, up, [3]."""
        return self.values[_PAW]

    @property
    def grip_force_mN(self) -> float:  # noqa: N802 (millinewton)
        """Size of the force between paw and handle."""
        return math.hypot(*self.grip_N.tolist()) * 1e3

    @property
    def grip_N(self) -> Floats:  # noqa: N802 (newton)
        """Force between paw and handle, along the three axes of the scene, [3]."""
        return self.values[_GRIP]

    @property
    def physics(self) -> Floats:
        """All coordinates, their speeds, and activations, named by ``PHYSICS_NAMES``, [20]."""
        return self.values[_COURSE]
