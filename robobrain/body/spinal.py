"""The spinal stage: cortical motor rates to muscle excitations, with two reflexes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robobrain.body.specification import MUSCLE_NAMES, SpinalSpec
from robobrain.errors import ConfigurationError

Floats = NDArray[np.float64]


class SpinalCord:
    """Eight motor pools with inhibition between antagonists and a delayed stretch reflex.

    drive = clip((rate - baseline) / span, 0, 1), and excitation = clip(tone + drive - antagonist_gain *
    drive of the antagonist + stretch_gain * delayed stretch, 0, 1). The stretch reflex answers only to
    muscles longer than at rest.

    Args:
        spec: The stage's numbers; without it, those of ``data/spinal.yaml``.
    """

    def __init__(self, spec: SpinalSpec | None = None) -> None:
        self.spec = SpinalSpec.load() if spec is None else spec
        pairs = [(MUSCLE_NAMES.index(a), MUSCLE_NAMES.index(b)) for a, b in self.spec.reflexes.antagonists]
        partner = dict(pairs) | {b: a for a, b in pairs}
        self._antagonist = np.array([partner[muscle] for muscle in range(len(MUSCLE_NAMES))])
        self._dt_ms: float | None = None
        self._received, self._command = b"", np.zeros(len(MUSCLE_NAMES))
        self.reset()

    def reset(self) -> None:
        """Forget all stretch; the next call may use another time step."""
        self._dt_ms = None
        self._stretch = np.zeros((0, len(MUSCLE_NAMES)))
        self._next = 0

    def excite(self, motor_rate_hz: ArrayLike, muscle_strain: ArrayLike, dt_ms: float) -> Floats:
        """Return the excitations [8] for the next ``dt_ms``.

        Args:
            motor_rate_hz: [8] Firing rate of each muscle's motor column.
            muscle_strain: [8] Lengths relative to rest, L / L_rest - 1, now.
            dt_ms: Time to the next call; the reflex delay must be a multiple of it.

        Raises:
            ConfigurationError: A wrong shape, a value that isn't finite, or a changed or unfit ``dt_ms``.
        """
        rate = _pools("motor_rate_hz", motor_rate_hz)
        stretch = np.maximum(_pools("muscle_strain", muscle_strain), 0.0)
        excitation: Floats = self.spec.reflexes.stretch_gain * self._delayed(stretch, dt_ms)
        excitation += self._commanded(rate)
        return np.minimum(np.maximum(excitation, 0.0), 1.0)

    def _commanded(self, rate_hz: Floats) -> Floats:
        """Return the excitations without reflexes; rates stay the same for as long as an exchange lasts."""
        received = rate_hz.tobytes()
        if received != self._received:
            pools, reflexes = self.spec.pools, self.spec.reflexes
            drive = ((rate_hz - pools.baseline_hz) / pools.span_hz).clip(0.0, 1.0)
            self._command = pools.tone + drive - reflexes.antagonist_gain * drive[self._antagonist]
            self._received = received
        return self._command

    def get_state(self) -> Floats:
        """Return the stretches under way: the time step (0 when none), then those stretches, oldest first."""
        return np.concatenate(([self._dt_ms or 0.0], np.roll(self._stretch, -self._next, axis=0).ravel()))

    def set_state(self, state: Floats) -> None:
        """Continue exactly from a state of ``get_state``.

        Raises:
            ConfigurationError: The array isn't a state of this stage.
        """
        self.reset()
        if np.ndim(state) != 1 or not np.isfinite(state).all() or not len(state):
            raise ConfigurationError("spinal state: no finite numbers. Fix: give an array of get_state().")
        if state[0] > 0:
            self._start(float(state[0]))
        if len(state) != 1 + self._stretch.size:
            raise ConfigurationError(
                f"spinal state: {1 + self._stretch.size} numbers are needed, not {len(state)}."
                " Fix: give an array of get_state()."
            )
        self._stretch[:] = np.reshape(state[1:], self._stretch.shape)

    def _delayed(self, stretch: Floats, dt_ms: float) -> Floats:
        """Put ``stretch`` into the ring and return the one of ``delay_ms`` ago, 0 before the first."""
        if self._dt_ms is None:
            self._start(dt_ms)
        elif dt_ms != self._dt_ms:
            raise ConfigurationError(f"dt_ms changed from {self._dt_ms} to {dt_ms}. Fix: reset() before.")
        if not len(self._stretch):
            return stretch
        delayed: Floats = self._stretch[self._next].copy()
        self._stretch[self._next] = stretch
        self._next = (self._next + 1) % len(self._stretch)
        return delayed

    def _start(self, dt_ms: float) -> None:
        """Lay out the ring for calls each ``dt_ms``."""
        delay_ms = self.spec.reflexes.delay_ms
        slots = delay_ms / dt_ms if dt_ms > 0 else np.nan
        if not abs(slots - np.round(slots)) < 1e-9:
            raise ConfigurationError(f"dt_ms is {dt_ms}. Fix: give a divisor of {delay_ms:g} ms.")
        self._dt_ms = dt_ms
        self._stretch = np.zeros((round(slots), len(MUSCLE_NAMES)))


def _pools(name: str, values: ArrayLike) -> Floats:
    """Return ``values`` as an array after a check that there is one finite value per muscle."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (len(MUSCLE_NAMES),) or not all(map(math.isfinite, array.tolist())):
        wrong = np.count_nonzero(~np.isfinite(array))
        raise ConfigurationError(
            f"{name}: shape {array.shape}, {wrong} values not finite."
            f" Fix: give {len(MUSCLE_NAMES)} finite values."
        )
    return array
