"""Reads what can be measured on a body, and its path until there, in one go from where MuJoCo keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robobrain.body.state import BodyState, Floats
from robobrain.body.trace import Trace

_PATH = 70
"""Where the path begins in the values of a reading: behind the parts of the state."""


class Sweep(NamedTuple):
    """What a sweep of the body saw.

    Attributes:
        joystick_mm: Where the joystick was after each ms [ms, 2].
        paw_mm: Where the paw was after each ms [ms, 3].
        state: What could be measured at the end.
    """

    joystick_mm: Floats
    paw_mm: Floats
    state: BodyState

    @classmethod
    def joined(cls, pieces: list[Sweep]) -> Sweep:
        """Return sweeps that follow one another as one."""
        if len(pieces) == 1:
            return pieces[0]
        joystick_mm, paw_mm, states = zip(*pieces, strict=True)
        return cls(np.concatenate(joystick_mm), np.concatenate(paw_mm), states[-1])


class _Plan(NamedTuple):
    """Which entries of MuJoCo's quantities make a reading, and how: (entry / unit - rest) * scale."""

    entries: NDArray[np.int64]
    unit: Floats
    rest: Floats
    scale: Floats


class Gauge:
    """Turns MuJoCo's quantities into states and paths.

    Args:
        quantities: Views of the data by name: places (m) of ``tip`` and ``grip``, the tip's ``speed`` (m/s)
            along two axes, ``position`` and ``velocity`` of all coordinates, the limb's first, then
            ``length`` (m), ``lengthening`` (m/s), ``force`` (N) and ``activation`` of the muscles.
        trace: What keeps the path of tip and grip.
        rest_length_m: [8] Lengths of the muscles at rest.
        max_force_N: [8] Their largest isometric forces.
        rest_places_m: [6] Places of tip and grip at rest.
    """

    def __init__(
        self,
        quantities: Mapping[str, Floats],
        trace: Trace,
        *,
        rest_length_m: Floats,
        max_force_N: Floats,
        rest_places_m: Floats,
    ) -> None:
        self._trace, self._rest_places_m = trace, rest_places_m
        views = {**quantities, "history": trace.history, "grip_force": np.zeros(3)}
        start, self._at = 0, dict[str, NDArray[np.int64]]()
        for name, view in views.items():
            self._at[name] = np.arange(start, start := start + len(view))
        self._steady = (*quantities.values(), trace.history)
        self._now = np.empty(start)
        self._state = self._plan_of_state(rest_length_m, max_force_N)
        self._plans: dict[tuple[int, int, int], _Plan] = {}

    def read(self, grip_N: Floats) -> BodyState:
        """Return the state of this instant under a force of the grip [3]."""
        return BodyState(self._values(self._state, grip_N))

    def read_path(self, grip_N: Floats, steps: int, every: int) -> Sweep:
        """Return this instant's state, and the places after each ``every``-th of the latest steps."""
        key = self._trace.cursor, steps, every
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._plan_of_path(*key)
        values = self._values(plan, grip_N)
        middle = _PATH + 2 * (steps // every)
        joystick_mm, paw_mm = values[_PATH:middle].reshape(-1, 2), values[middle:].reshape(-1, 3)
        return Sweep(joystick_mm, paw_mm, BodyState(values))

    def _values(self, plan: _Plan, grip_N: Floats) -> Floats:
        np.concatenate((*self._steady, grip_N), out=self._now)
        values: Floats = self._now.take(plan.entries)
        values /= plan.unit
        values -= plan.rest
        values *= plan.scale
        return values

    def _plan_of_state(self, rest_length_m: Floats, max_force_N: Floats) -> _Plan:
        at, rest_m, joints, each = self._at, self._rest_places_m, slice(4), np.ones(8)
        parts: dict[str, tuple[ArrayLike, ...]] = {
            "joystick_mm": (at["tip"][:2], 1.0, rest_m[:2], 1e3),
            "joystick_velocity_mm_s": (at["speed"], 1.0, 0.0, 1e3),
            "paw_mm": (at["grip"], 1.0, rest_m[3:], 1e3),
            "joint_angle_rad": (at["position"][joints], 1.0, 0.0, 1.0),
            "joint_velocity_rad_s": (at["velocity"][joints], 1.0, 0.0, 1.0),
            "muscle_strain": (at["length"], rest_length_m, each, 1.0),
            "muscle_velocity_per_s": (at["lengthening"], rest_length_m, 0.0, 1.0),
            "muscle_force": (at["force"], -max_force_N, 0.0, 1.0),
            "muscle_activation": (at["activation"], 1.0, 0.0, 1.0),
            "physics": (np.r_[at["position"], at["velocity"], at["activation"]], 1.0, 0.0, 1.0),
            "grip_N": (at["grip_force"], 1.0, 0.0, 1.0),
        }
        columns = [np.broadcast_arrays(*parts[name]) for name in BodyState.PARTS]
        return _Plan(*map(np.concatenate, zip(*columns, strict=True)))

    def _plan_of_path(self, cursor: int, steps: int, every: int) -> _Plan:
        """Return the plan of state and path; of the path's last place MuJoCo has no sample yet."""
        entries = self._at["history"][self._trace.entries(cursor, steps, every)]
        entries[-1] = np.r_[self._at["tip"], self._at["grip"]]
        path = np.broadcast_arrays(entries, 1.0, self._rest_places_m, 1e3)
        columns = ((ours, more[:, :2], more[:, 3:]) for ours, more in zip(self._state, path, strict=True))
        return _Plan(*(np.concatenate([part.ravel() for part in parts]) for parts in columns))
