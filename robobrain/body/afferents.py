"""What a muscle's afferents fire: primary and secondary spindle endings, and tendon organs.

They stand beside the loop: nothing of it uses them unless it is given them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robobrain.body.datafile import load
from robobrain.body.specification import MUSCLE_NAMES, NotNegative, Positive
from robobrain.body.state import BodyState
from robobrain.errors import ConfigurationError
from robobrain.seeding import generator

Floats = NDArray[np.float64]

_STRICT = {"extra": "forbid", "allow_inf_nan": False}


@dataclass(frozen=True, kw_only=True)
class PrimarySpec:
    """Ia: rest + per_mm * stretch + per_speed * sgn(speed) |speed|^power, in Hz of mm and mm/s."""

    __pydantic_config__ = _STRICT
    rest_hz: NotNegative
    per_mm_hz: NotNegative
    per_speed_hz: NotNegative
    speed_power: Positive
    delay_ms: NotNegative


@dataclass(frozen=True, kw_only=True)
class SecondarySpec:
    """II: rest + per_mm * stretch, in Hz of mm."""

    __pydantic_config__ = _STRICT
    rest_hz: NotNegative
    per_mm_hz: NotNegative
    delay_ms: NotNegative


@dataclass(frozen=True, kw_only=True)
class TendonSpec:
    """Ib: in proportion to force, ``largest_hz`` at the muscle's largest isometric one."""

    __pydantic_config__ = _STRICT
    largest_hz: Positive
    delay_ms: NotNegative


@dataclass(frozen=True, kw_only=True)
class NoiseSpec:
    """How uncertain a rate is: that of so many fibres, counted over a window."""

    __pydantic_config__ = _STRICT
    fibres: Positive
    window_ms: Positive


@dataclass(frozen=True, kw_only=True)
class AfferentSpec:
    """Afferents of every muscle."""

    __pydantic_config__ = _STRICT
    name: str
    primary: PrimarySpec
    secondary: SecondarySpec
    tendon: TendonSpec
    noise: NoiseSpec
    provenance: dict[str, str]

    @classmethod
    def load(cls, source: str | Path = "afferents.yaml") -> AfferentSpec:
        """Read and check a data file; without ``source``, the one that comes with robobrain."""
        return load(cls, source)


@dataclass(frozen=True, kw_only=True, eq=False)
class AfferentRates:
    """Rates in Hz as they arrive at the spinal cord.

    Attributes:
        primary_hz: [8] Ia, length and speed.
        secondary_hz: [8] II, length.
        tendon_hz: [8] Ib, force.
    """

    primary_hz: Floats
    secondary_hz: Floats
    tendon_hz: Floats


class Afferents:
    """The afferents of the eight muscles, with their conduction delays.

    Args:
        rest_length_m: [8] Lengths at rest, as ``Forelimb.rest_length_m``.
        step_ms: Time between two calls of ``feel``; the delays must be multiples of it.
        spec: The afferents' numbers; without it, those of ``data/afferents.yaml``.
        seed: Seed of their noise; None for none.

    Raises:
        ConfigurationError: A delay is no multiple of ``step_ms``.
    """

    def __init__(
        self,
        rest_length_m: Floats,
        *,
        step_ms: float,
        spec: AfferentSpec | None = None,
        seed: int | None = None,
    ) -> None:
        self.spec = AfferentSpec.load() if spec is None else spec
        self._rest_mm = rest_length_m * 1e3
        parts = (self.spec.primary, self.spec.secondary, self.spec.tendon)
        self._late = [_calls(part.delay_ms, step_ms) for part in parts]
        self.reset(seed)

    def reset(self, seed: int | None = None) -> None:
        """Begin at rest, under the noise of ``seed``; None for none."""
        self._rng = None if seed is None else generator(seed, "afferents")
        at_rest = self._fired(np.zeros((3, len(MUSCLE_NAMES))))
        self._fibres = [
            np.repeat(rate[None], late + 1, axis=0) for rate, late in zip(at_rest, self._late, strict=True)
        ]

    def feel(self, body: BodyState) -> AfferentRates:
        """Return what arrives now, after ``body`` began to be felt at the muscles."""
        quantities = np.array([body.muscle_strain, body.muscle_velocity_per_s, body.muscle_force])
        arriving = []
        for number, rate in enumerate(self._fired(quantities)):
            self._fibres[number] = np.concatenate([self._fibres[number][1:], rate[None]])
            arriving.append(self._heard(self._fibres[number][0]))
        primary, secondary, tendon = arriving
        return AfferentRates(primary_hz=primary, secondary_hz=secondary, tendon_hz=tendon)

    def _fired(self, quantities: Floats) -> Floats:
        """Return the rates [3, 8] at the muscles of strain, speed (1/s) and force."""
        primary, secondary, tendon = self.spec.primary, self.spec.secondary, self.spec.tendon
        stretch_mm, speed_mm_s, force = quantities * [
            self._rest_mm,
            self._rest_mm,
            np.ones(len(MUSCLE_NAMES)),
        ]
        fast = np.sign(speed_mm_s) * np.abs(speed_mm_s) ** primary.speed_power
        rates: Floats = np.array(
            [
                primary.rest_hz + primary.per_mm_hz * stretch_mm + primary.per_speed_hz * fast,
                secondary.rest_hz + secondary.per_mm_hz * stretch_mm,
                tendon.largest_hz * force,
            ]
        )
        return np.maximum(rates, 0.0)

    def _heard(self, rate_hz: Floats) -> Floats:
        """Return a rate as so many fibres tell it in a window: a Poisson count of their spikes."""
        if self._rng is None:
            return rate_hz.copy()
        counted_s = self.spec.noise.fibres * self.spec.noise.window_ms / 1e3
        heard: Floats = self._rng.poisson(rate_hz * counted_s) / counted_s
        return heard


def _calls(delay_ms: float, step_ms: float) -> int:
    calls = delay_ms / step_ms if step_ms > 0 else np.nan
    if not abs(calls - np.round(calls)) < 1e-9:
        raise ConfigurationError(
            f"step_ms is {step_ms}. Fix: give a divisor of the delay of {delay_ms:g} ms."
        )
    return round(calls)
