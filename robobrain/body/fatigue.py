"""Muscle fatigue: how much of an excitation a tired muscle can still follow. Off unless asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robobrain.body.datafile import load
from robobrain.body.specification import MUSCLE_NAMES, Fraction, Positive

Floats = NDArray[np.float64]

_STRICT = {"extra": "forbid", "allow_inf_nan": False}


@dataclass(frozen=True, kw_only=True)
class CompartmentSpec:
    """Rates between the compartments."""

    __pydantic_config__ = _STRICT
    fatigue_per_s: Positive
    recovery_per_s: Positive
    rest_factor: Positive
    rest_below: Fraction


@dataclass(frozen=True, kw_only=True)
class FatigueSpec:
    """How muscles tire and recover."""

    __pydantic_config__ = _STRICT
    name: str
    compartments: CompartmentSpec
    provenance: dict[str, str]

    @classmethod
    def load(cls, source: str | Path = "fatigue.yaml") -> FatigueSpec:
        """Read and check a data file; without ``source``, the one that comes with robobrain."""
        return load(cls, source)


class Fatigue:
    """The three compartments of Xia and Frey-Law for each muscle: resting, active, fatigued.

    Active is what is asked for, as far as it isn't fatigued. Their model lets the active compartment follow
    with a lag; here it follows at once, since the muscle's own activation dynamics stand behind it.

    Attributes:
        fatigued: [8] Part of each muscle that is fatigued, 0 to 1.
    """

    def __init__(self, spec: FatigueSpec | None = None) -> None:
        self.spec = FatigueSpec.load() if spec is None else spec
        self.reset()

    def reset(self) -> None:
        """Rest all muscles fully."""
        self.fatigued: Floats = np.zeros(len(MUSCLE_NAMES))

    def limit(self, excitation: Floats, duration_ms: float) -> Floats:
        """Return the excitations [8] that the muscles can follow; then let ``duration_ms`` of them pass."""
        rates = self.spec.compartments
        able = 1.0 - self.fatigued
        recovery = np.where(
            excitation < rates.rest_below, rates.rest_factor * rates.recovery_per_s, rates.recovery_per_s
        )
        spent = excitation >= able
        # d fatigued / dt = fatigue * active - recovery * fatigued; active is 1 - fatigued where all is spent.
        rate = np.where(spent, rates.fatigue_per_s + recovery, recovery)
        end = rates.fatigue_per_s * np.where(spent, 1.0, excitation) / rate
        self.fatigued = end + (self.fatigued - end) * np.exp(-rate * duration_ms / 1e3)
        limited: Floats = np.minimum(excitation, able)
        return limited
