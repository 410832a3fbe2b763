"""The limb at the joystick under the trial logic: the 1 kHz half of the loop, with or without a brain."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robobrain.brain.config import checked_exchange_ms
from robobrain.errors import ConfigurationError
from robobrain.seeding import generator
from robobrain.tasks.joystick.reward import reward_terms
from robobrain.tasks.joystick.trial import TICK_MS, Event, JoystickTask, Phase, TrialResult

if TYPE_CHECKING:
    from robobrain.body import BodyState, Forelimb

FloatArray = NDArray[np.float64]

MUSCLES = 8
"""Number of muscles, and so of motor channels and of stimulation channels."""


class PhaseTimes(NamedTuple):
    """Wall-clock time of the parts of the loop.

    Attributes:
        brain_ms: NEST's own run.
        body_ms: Body and spinal cord.
        exchange_ms: What the loop waited for beyond the brain's run.
        task_ms: Trial logic.
        overlap_ms: Part of the brain's run that the loop did not wait for, as the body moved meanwhile.
    """

    brain_ms: float = 0.0
    body_ms: float = 0.0
    exchange_ms: float = 0.0
    task_ms: float = 0.0
    overlap_ms: float = 0.0

    @property
    def whole_ms(self) -> float:
        """Time that all of it took."""
        return self.brain_ms + self.body_ms + self.exchange_ms + self.task_ms - self.overlap_ms


@dataclass(kw_only=True, eq=False)
class Movement:
    """What body and task did in one exchange. All arrays are the owner's to keep.

    Attributes:
        t_ms: Time since the reset, at the end of the exchange.
        excitation: What drove the body in its last ms: excitation of the muscles [8], or for a body of motors
            the fractions of their torques [4].
        body: The body at its end.
        joystick_mm: Joystick path after each ms [ms, 2], lateral and pull.
        paw_mm: Paw path after each ms [ms, 3], lateral, pull and vertical, relative to rest.
        lateral_force_mN: Force on the joystick during each ms [ms]; may not be writeable.
        target_mm: Centre of the trial's target at its end [2], lateral and pull; not writeable.
        phase: Part of the trial at its end.
        events: What happened in it.
        trial: The trial that ended in it, if one did.
        reward_terms: Weighted terms of the reward by name.
        times: Wall-clock time of the parts of the loop.
    """

    t_ms: float
    excitation: FloatArray
    body: BodyState
    joystick_mm: FloatArray
    paw_mm: FloatArray
    lateral_force_mN: FloatArray
    target_mm: FloatArray
    phase: Phase
    events: tuple[Event, ...] = ()
    trial: TrialResult | None = None
    reward_terms: Mapping[str, float] = field(default_factory=dict)
    times: PhaseTimes = field(default_factory=PhaseTimes)

    @property
    def reward(self) -> float:
        """Sum of the reward terms."""
        return float(sum(self.reward_terms.values()))


class _Path(NamedTuple):
    """Where an exchange's samples go, one per ms."""

    joystick_mm: FloatArray
    paw_mm: FloatArray
    lateral_force_mN: FloatArray

    @classmethod
    def of(cls, ticks: int) -> _Path:
        return cls(np.empty((ticks, 2)), np.empty((ticks, 3)), np.empty(ticks))

    @classmethod
    def joined(cls, pieces: Sequence[_Path]) -> _Path:
        if len(pieces) == 1:
            return pieces[0]
        return cls(*(np.concatenate(parts) for parts in zip(*pieces, strict=True)))


class RigState(NamedTuple):
    """An instant of body and task, as their own ``get_state`` give it."""

    body: FloatArray
    task: object


class Rig:
    """Runs body and task together, 1 ms after 1 ms.

    Args:
        body: The limb at the joystick.
        task: The trial logic.
        exchange_ms: Time of one ``advance``.

    Raises:
        ConfigurationError: ``exchange_ms`` is no whole number of ms from 1 to 1,000.
    """

    def __init__(self, body: Forelimb, task: JoystickTask, exchange_ms: float) -> None:
        self.body, self.task, self.exchange_ms = body, task, checked_exchange_ms(exchange_ms)
        self._ticks = round(self.exchange_ms / TICK_MS)

    def reset(self, seed: int, trial: int | None = None) -> Movement:
        """Go back to the rest posture, before the first trial or at the beginning of ``trial``."""
        self.body.reset()
        self.task.reset(generator(seed, "task"))
        if trial is not None:
            self.task.begin_trial(trial)
        drive = np.zeros(len(self.body.drive_names))
        return self._movement(drive, _Path.of(0), self.body.state(), 0.0, PhaseTimes())

    def get_state(self) -> RigState:
        """Return all that the future of body and task depends on, random draws included."""
        return RigState(self.body.get_state(), self.task.get_state())

    def set_state(self, state: RigState, seed: int | None = None) -> None:
        """Continue exactly from a state of ``get_state``; with a ``seed``, under other random draws."""
        self.body.set_state(state.body)
        self.task.set_state(state.task)
        if seed is not None:
            self.task.reseed(generator(seed, "task"))

    def advance(self, excite: Callable[[], FloatArray]) -> Movement:
        """Run one exchange; ``excite`` gives the muscle excitations [8] (0..1) for each next ms.

        Raises:
            BodyFault: The physics diverged.
        """
        body, task = self.body, self.task
        path, covered = _Path.of(self._ticks), task.progress
        task_s, began = 0.0, perf_counter()
        for i in range(self._ticks):
            excitation = excite()
            path.lateral_force_mN[i] = force_mN = task.lateral_force_mN
            body.advance(excitation, TICK_MS, force_mN)
            path.joystick_mm[i], path.paw_mm[i] = body.joystick_mm(), body.paw_mm()
            moved = perf_counter()
            task.tick(path.joystick_mm[i])
            task_s += perf_counter() - moved
        body_s = perf_counter() - began - task_s
        times = PhaseTimes(body_ms=1000.0 * body_s, task_ms=1000.0 * task_s)
        return self._movement(np.array(excitation), path, body.state(), covered, times)

    def hold(self, drive: FloatArray) -> Movement:
        """Run one exchange under one drive of the body, a fresh array: as ``advance`` does, only faster.

        Body and task go ahead together as far as the lateral force stays the same. Where the task changes it,
        the body goes back and stops at that ms.

        Raises:
            BodyFault: The physics diverged.
        """
        body, task = self.body, self.task
        covered, missing = task.progress, self._ticks
        pieces: list[_Path] = []
        task_s, began = 0.0, perf_counter()
        while missing:
            force_mN = task.lateral_force_mN
            before = body.get_state() if task.force_may_change else None
            joystick_mm, paw_mm, state = body.sweep(drive, missing, force_mN)
            moved = perf_counter()
            held = task.follow(joystick_mm)
            task_s += perf_counter() - moved
            if before is not None and held < missing:
                body.set_state(before)
                joystick_mm, paw_mm, state = body.sweep(drive, held, force_mN)
            pieces.append(_Path(joystick_mm, paw_mm, _steady(force_mN, held)))
            missing -= held
        body_s = perf_counter() - began - task_s
        times = PhaseTimes(0.0, 1000.0 * body_s, 0.0, 1000.0 * task_s)
        return self._movement(drive, _Path.joined(pieces), state, covered, times)

    def _movement(
        self, excitation: FloatArray, path: _Path, state: BodyState, covered: float, times: PhaseTimes
    ) -> Movement:
        task = self.task
        result = task.take_result()
        return Movement(
            t_ms=task.t_ms,
            excitation=excitation,
            body=state,
            joystick_mm=path.joystick_mm,
            paw_mm=path.paw_mm,
            lateral_force_mN=path.lateral_force_mN,
            target_mm=_place(task.target_mm),
            phase=task.phase,
            events=task.take_events(),
            trial=result,
            reward_terms=reward_terms(
                task.spec.reward,
                gained_progress=task.progress - covered,
                mean_squared_excitation=float(excitation.dot(excitation)) / len(excitation),
                duration_s=len(path.lateral_force_mN) * TICK_MS / 1000.0,
                result=result,
            ),
            times=times,
        )


def fractions(
    values: ArrayLike, what: str, *, size: int = MUSCLES, within: tuple[float, float] = (0.0, 1.0)
) -> FloatArray:
    """Return ``size`` channel values clipped to a range.

    Raises:
        ConfigurationError: There are not so many, or one of them is NaN or infinite.
    """
    low, high = within
    try:
        vector = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise ConfigurationError(
            f"The {what} must be {size} numbers in {low:g} to {high:g} ({problem})."
        ) from problem
    if vector.shape != (size,):
        raise ConfigurationError(f"The {what} must have the shape ({size},), got {vector.shape}.")
    if not math.isfinite(vector.dot(vector)) and not np.isfinite(vector).all():
        raise ConfigurationError(f"The {what} must be finite, got {vector.tolist()}.")
    least, most = _as_arrays(within)
    np.maximum(vector, least, out=vector)
    return np.minimum(vector, most, out=vector)


@lru_cache(maxsize=16)
def _place(place_mm: tuple[float, float]) -> FloatArray:
    """Return a place as an array that others share."""
    return _shared(np.array(place_mm))


@lru_cache(maxsize=64)
def _steady(force_mN: float, duration_ms: int) -> FloatArray:
    """Return a force that stays the same in each ms as an array that others share."""
    return _shared(np.full(duration_ms, force_mN))


def _shared(array: FloatArray) -> FloatArray:
    array.flags.writeable = False
    return array


@cache
def _as_arrays(within: tuple[float, float]) -> tuple[FloatArray, FloatArray]:
    """Return two numbers as arrays, as NumPy would make them anew in each operation."""
    return np.array(within[0]), np.array(within[1])
