"""The environments without a brain: the limb is moved by its muscles, or by motors at its joints."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from gymnasium.utils import EzPickle

from robobrain.body import Forelimb, ForelimbSpec, TorqueForelimb
from robobrain.body.fatigue import Fatigue
from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick.arguments import check_kinds
from robobrain.tasks.joystick.envs import (
    DEFAULT_EXCHANGE_MS,
    JoystickEnv,
    ObservationForm,
    documented,
)
from robobrain.tasks.joystick.observation import Observable, body_observables
from robobrain.tasks.joystick.rewindable import Action
from robobrain.tasks.joystick.rig import FloatArray, Movement, RigState, fractions
from robobrain.tasks.joystick.specification import DEFAULT_PRESET, JoystickSpec


class _State(NamedTuple):
    """An instant of body, task and, where muscles tire, of their fatigue."""

    rig: RigState
    fatigued: FloatArray | None


class DirectEnv(JoystickEnv):
    """What the environments without a brain share: the action drives the body as it is.

    Attributes:
        fatigue: How tired the muscles are; None where they don't tire.
    """

    def __init__(
        self,
        *,
        task: str | Path | JoystickSpec = DEFAULT_PRESET,
        body: str | None = None,
        fatigue: bool = False,
        exchange_ms: float = DEFAULT_EXCHANGE_MS,
        observation: ObservationForm = "vector",
        render_mode: str | None = None,
        width: int = 640,
        height: int = 480,
        camera: str = "overview",
    ) -> None:
        arguments: dict[str, Any] = {
            "task": task,
            "body": body,
            "exchange_ms": exchange_ms,
            "observation": observation,
            "render_mode": render_mode,
            "width": width,
            "height": height,
            "camera": camera,
        }
        check_kinds(arguments | {"fatigue": fatigue})
        EzPickle.__init__(self, fatigue=fatigue, **arguments)
        super().__init__(**arguments)
        if fatigue and self.body.drive_names != self.body.muscle_names:
            raise ConfigurationError(
                "fatigue is of muscles; this body is moved by motors. Fix: leave it out."
            )
        self.fatigue = Fatigue() if fatigue else None
        self._states: dict[int, _State] = {}
        self._numbers = itertools.count(1)

    def _restart(self, seed: int, trial: int) -> Movement:
        if self.fatigue is not None and trial == 1:
            self.fatigue.reset()
        return self._rig.reset(seed, trial)

    def _keep(self) -> int:
        number = next(self._numbers)
        fatigued = None if self.fatigue is None else self.fatigue.fatigued
        self._states[number] = _State(self._rig.get_state(), fatigued)
        return number

    def _recall(self, snapshot: int, seed: int | None) -> None:
        if snapshot not in self._states:
            raise ConfigurationError(f"There is no snapshot {snapshot!r}; there are {list(self._states)}.")
        state = self._states[snapshot]
        self._rig.set_state(state.rig, seed)
        if self.fatigue is not None and state.fatigued is not None:
            self.fatigue.fatigued = state.fatigued

    def _let_go(self, snapshot: int) -> None:
        if self._states.pop(snapshot, None) is None:
            raise ConfigurationError(f"There is no snapshot {snapshot!r}; there are {list(self._states)}.")

    def _advance(self, action: Action) -> Movement:
        names, within = self.body.drive_names, self.body.drive_range
        drive = fractions(action, "action", size=len(names), within=within)
        if self.fatigue is not None:
            drive = self.fatigue.limit(drive, self._rig.exchange_ms)
        return self._rig.hold(drive)


@documented
class JoystickMuscleEnv(DirectEnv):
    """Pull a joystick with the eight muscles of a mouse's forelimb. No brain is involved.

    ## Episode

    One episode is one trial: rest at home until the cue, pull the joystick across the start line into the
    target, hold it there. Episodes walk through the session's blocks, which set the lateral force;
    ``reset(seed=...)`` goes back to the first trial, ``reset(options={"trial": n})`` chooses one. An episode
    is *terminated* by what the joystick does (rewarded, missed, returned) and *truncated* by time (no rest at
    home, no response, too slow) or by a diverged physics. Every episode begins in the same posture of rest;
    the seed draws catch trials.

    ## Action

    ``Box(0, 1, (8,), float32)``: excitation of the muscles. Values beyond 0 and 1 are clipped; NaN, infinity
    and other shapes are a ``ConfigurationError``.

    {actions}

    ## Observation

    ``Box(float32)``, clipped to these bounds (``observation_names`` and ``observation_units`` name each
    entry). With ``observation="dict"`` a ``Dict`` with one ``Box`` per line of the table.

    {observations}

    ## Reward

    The sum of ``info["reward_terms"]``, each already weighted by the task's specification. ``success`` comes
    once at the end of a rewarded trial; ``progress`` in parts for each new closest approach to the target
    after the cue, in sum over the way from rest; ``effort`` is negative, per second times the mean squared
    excitation; ``miss`` is negative, once at the end of a trial without reward. Weights of the default task:

    {rewards}

    ## Info

    ``reward_terms``, ``phase``, ``events`` of the step, and at the end ``trial`` (the row of the trial table,
    NaN for what did not happen) and ``is_success``. The wall-clock times of the last step are in
    ``env.unwrapped.movement.times``, outside of ``info`` because they differ between equal rollouts.

    ## Arguments

    ``task``: name of a preset, path of a YAML file, or a ``JoystickSpec``. ``body``: name of a body that
    another installed package offers under ``robobrain.bodies``; None for the limb of this one.
    ``fatigue``: let the muscles tire and recover, from trial to trial; trial 1 begins rested (not observed;
    ``env.unwrapped.fatigue.fatigued`` tells). ``exchange_ms``: time of a step, a whole number of ms.
    ``observation``: ``vector`` or ``dict``. ``render_mode``: ``human``, ``rgb_array`` or ``depth_array``;
    ``width`` and ``height`` of pictures; ``camera``: {cameras}. Pictures show the target (brighter while it
    is held), home, the lateral force as an arrow, and the trial's state as text.

    ## Version history

    * v0: first version.
    """


@documented
class JoystickTorqueEnv(DirectEnv):
    """Pull a joystick with motors at the four joints of a mouse's forelimb. No brain is involved.

    The limb is that of ``robobrain/JoystickMuscle-v0``, its muscles at resting tone: the same masses, springs
    and rest posture, with the joints' torques as the action.

    ## Episode, reward, info

    As in ``robobrain/JoystickMuscle-v0``; ``effort`` counts the torques, as fractions of the largest.
    Weights:

    {rewards}

    ## Action

    ``Box(-1, 1, (4,), float32)``: torques as fractions of the largest one of each joint, which is as large as
    its muscles could make it together. Values beyond -1 and 1 are clipped; NaN, infinity and other shapes are
    a ``ConfigurationError``.

    {actions}

    ## Observation

    ``Box(float32)``, clipped to these bounds; a ``Dict`` with ``observation="dict"``.

    {observations}

    ## Arguments

    As in ``robobrain/JoystickMuscle-v0``.

    ## Version history

    * v0: first version.
    """

    body_class: ClassVar[type[Forelimb]] = TorqueForelimb

    @classmethod
    def drive_meanings(cls, body: ForelimbSpec) -> list[str]:
        """Return what each entry of the action drives."""
        return [f"torque, 1 is {joint.motor_Nm * 1e3:.2f} mN m" for joint in body.joints.values()]

    @classmethod
    def observables(cls, body: ForelimbSpec, task: JoystickSpec) -> tuple[Observable, ...]:
        """Return what is observed of body and task: joints, not muscles."""
        return body_observables(body, task, muscles=False)
