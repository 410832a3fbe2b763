"""A mouse forelimb at a joystick, advanced in time by MuJoCo."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from robobrain.body.gauge import Gauge, Sweep
from robobrain.body.model import GRIP, JOYSTICK, LATERAL, LIMB, MOVER, PULL, STICK, TIP, build_model
from robobrain.body.specification import JOINT_NAMES, MUSCLE_NAMES, ForelimbSpec
from robobrain.body.state import BodyState, Floats
from robobrain.body.trace import Trace
from robobrain.errors import BodyFault, ConfigurationError

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
# Not mjSTATE_PHYSICS: since MuJoCo 4 that has the history of delayed signals too.
_PHYSICS = int(mujoco.mjtState.mjSTATE_QPOS | mujoco.mjtState.mjSTATE_QVEL | mujoco.mjtState.mjSTATE_ACT)
_AFTER_SPEEDS, _SITE = int(mujoco.mjtStage.mjSTAGE_VEL), int(mujoco.mjtObj.mjOBJ_SITE)

_MAX_ANGLE_SQUARED, _MAX_SPEED_SQUARED = 10.0**2, 1e4**2
"""Sums of rad^2, and of (rad/s)^2, beyond which the physics has diverged; joints end at about 1 rad."""

HAND_STIFFNESS_N_M, MOST_HAND_FORCE_N = 8.0, 0.1
"""Spring between a person's hand and what it pulls, assumed: as stiff as the joystick's, and at most 0.1 N.

Twice as stiff, and told anew only each 10 ms, it swings up.
"""


class Forelimb:
    """A left forelimb with eight muscles that holds a two-axis joystick.

    After construction the body is in its rest posture: settled under gravity at resting tone. Lengths,
    joystick and paw are counted from there.

    Args:
        spec: The body's numbers; without it, those of ``data/forelimb.yaml``.
    """

    muscle_names: ClassVar[tuple[str, ...]] = MUSCLE_NAMES
    joint_names: ClassVar[tuple[str, ...]] = JOINT_NAMES
    drive_names: ClassVar[tuple[str, ...]] = MUSCLE_NAMES
    """What ``advance`` drives: one value each."""
    drive_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """Range of those values; beyond it they are clipped."""

    def __init__(self, spec: ForelimbSpec | None = None) -> None:
        self.spec = ForelimbSpec.load() if spec is None else spec
        self.timestep_s = self.spec.physics.timestep_s
        self.model = build_model(self.spec, motors=self.drive_names != MUSCLE_NAMES)
        self.data = mujoco.MjData(self.model)
        self._grip = self.model.site(LIMB + GRIP).id
        self._tip = self.model.site(JOYSTICK + TIP).id
        self._stick = self.model.body(JOYSTICK + STICK).id
        self._mover = self.model.equality(MOVER).id
        self.max_force_N = np.array([muscle.max_force_N for muscle in self.spec.muscles.values()])
        self._tip_velocity = np.zeros(6)
        self._drive = self.data.ctrl[-len(self.drive_names) :]
        self._push = self.data.xfrc_applied[self._stick, :1]
        self._tip_m, self._paw_m = (self.data.site_xpos[site] for site in (self._tip, self._grip))
        self._position, self._velocity = self.data.qpos, self.data.qvel
        self._trace = Trace(self.model, self.data, (JOYSTICK + TIP, LIMB + GRIP))
        self._settle()

    def reset(self) -> None:
        """Return to the rest posture at time 0, exactly the same each time, also after a fault."""
        mujoco.mj_resetData(self.model, self.data)
        self._restore(self._rest_state)

    def advance(self, excitation: ArrayLike, duration_ms: float, lateral_force_mN: float = 0.0) -> None:
        """Advance the body in time with constant excitations.

        Args:
            excitation: [8] One value per muscle; values outside 0 ... 1 are clipped.
            duration_ms: A whole number of time steps.
            lateral_force_mN: Horizontal force on the joystick's tip, + toward the animal's left.

        Raises:
            ConfigurationError: An argument has a wrong shape or isn't finite; the body stays as it is.
            BodyFault: The physics diverged; ``reset`` makes the body usable again.
        """
        steps = self._steps(duration_ms)
        self._apply(excitation, lateral_force_mN)
        self._run(steps)

    def sweep(self, excitation: ArrayLike, duration_ms: int, lateral_force_mN: float = 0.0) -> Sweep:
        """Advance as ``advance`` does, bit for bit, and say where joystick and paw were after each ms.

        MuJoCo takes the samples on its way, so that a sweep costs hardly more than its physics steps.

        Args:
            excitation: [8] One value per muscle; values outside 0 ... 1 are clipped.
            duration_ms: A whole number of ms.
            lateral_force_mN: Horizontal force on the joystick's tip, + toward the animal's left.

        Returns:
            ``joystick_mm()`` [duration_ms, 2] and ``paw_mm()`` [duration_ms, 3] after each ms, and the
            ``state()`` at the end.

        Raises:
            ConfigurationError: An argument has a wrong shape or isn't finite, or the body's time step does
                not divide 1 ms; the body stays as it is.
            BodyFault: The physics diverged; ``reset`` makes the body usable again.
        """
        if duration_ms < 1 or duration_ms != int(duration_ms):
            raise ConfigurationError(f"duration_ms is {duration_ms}. Fix: give a whole number of ms.")
        per_ms = self._steps_per_ms
        self._apply(excitation, lateral_force_mN)
        missing, longest = duration_ms * per_ms, self._trace.steps
        pieces = []
        while missing:
            steps = min(missing, longest)
            self._run(steps)
            pieces.append(self._gauge.read_path(self._weigh(), steps, per_ms))
            missing -= steps
        return Sweep.joined(pieces)

    def state(self) -> BodyState:
        """Return what can be measured now; the body's course isn't changed by looking."""
        return self._gauge.read(self._weigh())

    def muscle_strain(self) -> Floats:
        """Return the muscles' lengths relative to rest, L / L_rest - 1, [8]."""
        strain: Floats = self.data.ten_length / self.rest_length_m
        strain -= 1.0
        return strain

    def joystick_mm(self) -> Floats:
        """Return the joystick tip's displacement from rest, [lateral, pull]."""
        displacement: Floats = (self._tip_m[:2] - self._rest_tip_m[:2]) * 1e3
        return displacement

    def paw_mm(self) -> Floats:
        """Return the paw's displacement from rest at its grip, [left, caudal, up]."""
        displacement: Floats = (self._paw_m - self._rest_paw_m) * 1e3
        return displacement

    def clamp(self, joystick_mm: Sequence[float] | Floats | None) -> None:
        """Move the joystick, and the limb with it, to a position and hold it there; None lets go.

        A stiff servo does it while the body is advanced, critically damped with the time constant
        ``clamp_time_constant_s``. It is part of the body's state; ``reset`` lets go.

        Args:
            joystick_mm: [lateral, pull] as in ``joystick_mm()``.

        Raises:
            ConfigurationError: The position isn't within the joystick's travel.
        """
        if joystick_mm is not None:
            self.data.mocap_pos[0] = self._tip_at(np.asarray(joystick_mm, dtype=np.float64))
        self.data.eq_active[self._mover] = joystick_mm is not None
        mujoco.mj_step1(self.model, self.data)

    def pull_by_hand(self, body: int, place: Floats, toward_m: Floats) -> Floats:
        """Pull a part of the scene with a spring to a point; return the force, kept until the next call.

        ``reset`` lets go, too. It acts beside drive, clamp and lateral force.

        Args:
            body: Number of the part, as MuJoCo counts; 0 lets go.
            place: [3] Where the spring is tied, in the part's own frame (m).
            toward_m: [3] Where it pulls to, in the scene's frame.

        Returns:
            [3] Force in N, at most ``MOST_HAND_FORCE_N`` long.
        """
        data, force_N = self.data, np.zeros(3)
        data.qfrc_applied[:] = 0.0
        if body > 0:
            point_m = data.xpos[body] + data.xmat[body].reshape(3, 3) @ place
            force_N = HAND_STIFFNESS_N_M * (toward_m - point_m)
            force_N *= min(1.0, MOST_HAND_FORCE_N / max(float(np.linalg.norm(force_N)), 1e-12))
            mujoco.mj_applyFT(self.model, data, force_N, np.zeros(3), point_m, body, data.qfrc_applied)
        return force_N

    def get_state(self) -> Floats:
        """Return all that the body's future depends on."""
        state = np.empty(mujoco.mj_stateSize(self.model, _STATE))
        mujoco.mj_getState(self.model, self.data, state, _STATE)
        return state

    def set_state(self, state: Floats) -> None:
        """Continue exactly from a state of ``get_state``.

        Raises:
            ConfigurationError: The array isn't a state of this body.
        """
        size = mujoco.mj_stateSize(self.model, _STATE)
        if np.shape(state) != (size,) or not np.isfinite(state).all():
            raise ConfigurationError(
                f"state: needs {size} finite numbers. Fix: give an array of get_state()."
            )
        self._restore(state)

    def show(self, physics: Floats, lateral_force_mN: float = 0.0) -> None:
        """Take the posture of ``BodyState.physics``, to be looked at; ``reset`` ends the show.

        Args:
            physics: [20] As in ``BodyState``.
            lateral_force_mN: Force on the joystick's tip, as pictures show it.

        Raises:
            ConfigurationError: The array isn't such a state.
        """
        size = mujoco.mj_stateSize(self.model, _PHYSICS)
        if np.shape(physics) != (size,) or not np.isfinite(physics).all():
            raise ConfigurationError(f"physics: needs {size} finite numbers. Fix: give BodyState.physics.")
        mujoco.mj_setState(self.model, self.data, physics, _PHYSICS)
        self.data.xfrc_applied[self._stick, 0] = lateral_force_mN * 1e-3
        mujoco.mj_forward(self.model, self.data)

    def close(self) -> None:
        """Free MuJoCo's model and data; the body can't be used any more."""
        self.__dict__.clear()

    @property
    def rest_tip_m(self) -> Floats:
        """Place of the joystick's tip at rest in the scene's frame."""
        return self._rest_tip_m.copy()

    @property
    def tip_m(self) -> Floats:
        """Place of the joystick's tip in the scene's frame."""
        tip: Floats = self._tip_m.copy()
        return tip

    @property
    def lateral_force_mN(self) -> float:  # noqa: N802 (millinewton)
        """The lateral force on the joystick's tip, + toward the animal's left."""
        return float(self.data.xfrc_applied[self._stick, 0] * 1e3)

    def _apply(self, drive: ArrayLike, lateral_force_mN: float) -> None:
        """Set what acts from now on."""
        if not math.isfinite(lateral_force_mN):
            raise ConfigurationError(f"lateral_force_mN is {lateral_force_mN}. Fix: give a finite force.")
        # MuJoCo clips controls to the actuators' range.
        self._drive[:] = self._checked(drive)
        self._push[0] = lateral_force_mN * 1e-3

    def _run(self, steps: int) -> None:
        """Run the second half of a step, whole steps, and the first half of the next one.

        Positions, lengths and speeds are then those of the new instant, at no extra cost.
        """
        mujoco.mj_step2(self.model, self.data)
        if steps > 1:
            mujoco.mj_step(self.model, self.data, steps - 1)
        mujoco.mj_step1(self.model, self.data)
        self._check()

    def _weigh(self) -> Floats:
        """Find the forces and the tip's speed of now, and return the force of the grip [3]."""
        data = self.data
        # Places and speeds are those of now already; what is missing are the forces.
        mujoco.mj_forwardSkip(self.model, data, _AFTER_SPEEDS, 1)
        mujoco.mj_objectVelocity(self.model, data, _SITE, self._tip, self._tip_velocity, 0)
        force_N: Floats = data.efc_force[:3]
        return force_N

    def _settle(self) -> None:
        """Find the rest posture and take the lengths and places there as zero."""
        physics, empty_traces = self.spec.physics, self.data.history.copy()
        self.data.ctrl[: len(MUSCLE_NAMES)] = physics.resting_tone
        self.data.act[:] = physics.resting_tone
        mujoco.mj_step(self.model, self.data, round(physics.settle_s / self.timestep_s))
        mujoco.mj_step1(self.model, self.data)
        self._check()
        self.data.time = 0.0
        self.data.history[:] = empty_traces  # MuJoCo adds a sample only after the time of the latest one
        self._rest_state = self.get_state()
        self.rest_length_m: Floats = self.data.ten_length.copy()
        self._rest_tip_m: Floats = self.data.site_xpos[self._tip].copy()
        self._rest_paw_m: Floats = self.data.site_xpos[self._grip].copy()
        data, muscles = self.data, len(MUSCLE_NAMES)
        self._gauge = Gauge(
            {
                "tip": self._tip_m,
                "grip": self._paw_m,
                "speed": self._tip_velocity[3:5],
                "position": self._position,
                "velocity": self._velocity,
                "length": data.ten_length,
                "lengthening": data.ten_velocity,
                "force": data.actuator_force[:muscles],
                "activation": data.act,
            },
            self._trace,
            rest_length_m=self.rest_length_m,
            max_force_N=self.max_force_N,
            rest_places_m=np.concatenate([self._rest_tip_m, self._rest_paw_m]),
        )

    def _restore(self, state: Floats) -> None:
        mujoco.mj_setState(self.model, self.data, state, _STATE)
        mujoco.mj_step1(self.model, self.data)

    @cached_property
    def _steps_per_ms(self) -> int:
        return self._steps(1.0)

    def _steps(self, duration_ms: float) -> int:
        step_ms = self.timestep_s * 1e3
        steps = duration_ms / step_ms
        if not (math.isfinite(steps) and steps > 0.5 and abs(steps - round(steps)) < 1e-6):
            raise ConfigurationError(f"duration_ms is {duration_ms}. Fix: give a multiple of {step_ms:g} ms.")
        return round(steps)

    def _checked(self, drive: ArrayLike) -> Floats:
        values = np.asarray(drive, dtype=np.float64)
        if values.shape != self._drive.shape:
            raise ConfigurationError(
                f"excitation has shape {values.shape}. Fix: give {len(self.drive_names)} values,"
                f" for {', '.join(self.drive_names)}."
            )
        if not math.isfinite(values.dot(values)) and not np.isfinite(values).all():
            wrong = _not_finite(self.drive_names, values)
            low, high = self.drive_range
            raise ConfigurationError(
                f"excitation of {wrong} isn't finite. Fix: give values in {low:g} ... {high:g}."
            )
        return values

    def _tip_at(self, joystick_mm: Floats) -> Floats:
        """Return where the tip is in the scene's frame at a displacement, on the sphere about the pivot."""
        pivot = self.data.xpos[self._stick]
        lever_squared = float(((self._rest_tip_m - pivot) ** 2).sum())
        if joystick_mm.shape != (2,) or not np.isfinite(joystick_mm).all():
            raise ConfigurationError(f"joystick_mm is {joystick_mm}. Fix: give [lateral, pull] or None.")
        place = self._rest_tip_m[:2] + joystick_mm * 1e-3
        travel = math.sqrt(lever_squared) * math.sin(max(map(abs, self.spec.joystick.range_rad)))
        if np.abs(place - pivot[:2]).max() > travel:
            raise ConfigurationError(
                f"joystick_mm is {joystick_mm}, beyond the stick's travel of about {travel * 1e3:.1f} mm."
                " Fix: give a nearer position."
            )
        height = math.sqrt(lever_squared - float(((place - pivot[:2]) ** 2).sum()))
        return np.array([*place, pivot[2] + height])

    def _check(self) -> None:
        """Raise BodyFault when positions or speeds are not finite or far beyond what a limb can do."""
        position, velocity = self._position, self._velocity
        if position.dot(position) < _MAX_ANGLE_SQUARED and velocity.dot(velocity) < _MAX_SPEED_SQUARED:
            return
        time_ms = self.data.time * 1e3
        raise BodyFault(f"The physics diverged by {time_ms:.1f} ms: {self._divergence()}. Fix: reset().")

    def _divergence(self) -> str:
        """Name the coordinate that went furthest astray."""
        names = [*JOINT_NAMES, f"joystick {LATERAL}", f"joystick {PULL}"]
        for quantity, values in (("angle", self.data.qpos), ("speed", self.data.qvel)):
            if broken := _not_finite(names, values):
                return f"{quantity} of {broken} isn't finite"
        fastest = int(np.abs(self.data.qvel).argmax())
        angle, speed = self.data.qpos[fastest], self.data.qvel[fastest]
        return f"{names[fastest]} at {angle:.3g} rad moves at {speed:.3g} rad/s"


class TorqueForelimb(Forelimb):
    """The same limb, moved by a motor at each joint; its muscles stay at resting tone.

    ``advance`` and ``sweep`` take torques [4], as fractions (-1 ... 1) of each joint's ``motor_Nm``, in the
    order of ``joint_names``. With no torque the limb rests as it does with its muscles.
    """

    drive_names: ClassVar[tuple[str, ...]] = JOINT_NAMES
    drive_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)


def _not_finite(names: Sequence[str], values: Floats) -> str:
    """Return the names of the values that aren't finite, as a list in words."""
    return ", ".join(name for name, value in zip(names, values, strict=True) if not np.isfinite(value))
