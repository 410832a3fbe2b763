"""What can be measured on the body at one instant, kept in one vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STRAIN, _STRETCHING, _FORCE = slice(8), slice(8, 16), slice(16, 24)
_JOYSTICK, _PAW, _SPEED = slice(24, 26), slice(27, 30), slice(30, 32)
_COURSE, _ANGLE, _TURNING, _ACTIVATION = slice(32, 52), slice(32, 36), slice(38, 42), slice(44, 52)
_GRIP = slice(52, 53)


@dataclass(eq=False, slots=True)
class BodyState:
    """What can be measured on the body at one instant; its parts are views of one vector of its own.

    Attributes:
        values: [53] All parts, where ``PARTS`` says; in the units that their names say.
    """

    values: Floats

    PARTS: ClassVar[Mapping[str, slice]] = MappingProxyType({
        "muscle_strain": _STRAIN,
        "muscle_velocity_per_s": _STRETCHING,
        "muscle_force": _FORCE,
        "muscle_activation": _ACTIVATION,
        "joint_angle_rad": _ANGLE,
        "joint_velocity_rad_s": _TURNING,
        "joystick_mm": _JOYSTICK,
        "joystick_velocity_mm_s": _SPEED,
        "paw_mm": _PAW,
        "physics": _COURSE,
        "grip_force_mN": _GRIP,
    })  # fmt: skip
    """Where each part is; the entry before the paw is the height of the joystick's tip, in mm from rest."""

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
        return float(self.values[_GRIP.start])

    @property
    def physics(self) -> Floats:
        """All coordinates, their speeds, and activations, named by ``PHYSICS_NAMES``, [20]."""
        return self.values[_COURSE]


class Gauge:
    """Reads a body's states from where MuJoCo keeps its quantities, without the grip's force.

    Args:
        quantities: Views of the data, in the order of a state: lengths (m) and speeds (m/s) of the tendons,
            forces of the muscles (N), places (m) of tip and grip, speed (m/s) of the tip along two axes, then
            all coordinates, their speeds, and activations.
        rest_length_m: [8] Lengths of the muscles at rest.
        max_force_N: [8] Their largest isometric forces.
        rest_places_m: [6] Places of tip and grip at rest.
    """

    def __init__(
        self,
        quantities: Sequence[Floats],
        *,
        rest_length_m: Floats,
        max_force_N: Floats,
        rest_places_m: Floats,
    ) -> None:
        self._grip_mN = np.zeros(1)
        self._quantities = (*quantities, self._grip_mN)
        self._now = now = np.concatenate(self._quantities)
        self._muscles, self._lengths = now[: _FORCE.stop], now[_STRAIN]
        self._places, self._spatial = now[_FORCE.stop : _PAW.stop], now[_FORCE.stop : _SPEED.stop]
        self._units = np.concatenate([rest_length_m, rest_length_m, -max_force_N])
        self._rest_places_m = rest_places_m
        # Arrays, as NumPy would make one of a number anew each time.
        self._one, self._mm_per_m = np.array(1.0), np.array(1e3)

    def read(self, grip_force_mN: float) -> BodyState:
        """Return the state of this instant under the given force of the grip."""
        self._grip_mN[0] = grip_force_mN
        np.concatenate(self._quantities, out=self._now)
        np.divide(self._muscles, self._units, out=self._muscles)
        np.subtract(self._lengths, self._one, out=self._lengths)
        np.subtract(self._places, self._rest_places_m, out=self._places)
        np.multiply(self._spatial, self._mm_per_m, out=self._spatial)
        return BodyState(self._now.copy())
