"""Sources: how signals from outside the brain become spike trains and currents at chosen neurons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.declared import Declared, check_weight
from robobrain.brain.selectors import Selector
from robobrain.errors import ConfigurationError

Floats = NDArray[np.float64]


class Half(StrEnum):
    """Which deviations from the reference a group of neurons hears."""

    BOTH = "both"
    POSITIVE = "positive"
    NEGATIVE = "negative"


@dataclass(frozen=True, kw_only=True)
class RateEncoder(Declared):
    """Value to Poisson rate: ``clip(baseline + gain * s, 0, max)`` Hz, with the shaped deviation ``s``.

    With ``d = value - reference``, ``s = sign(d) * max(|d| - dead_zone, 0) ** exponent``. A positive half
    keeps ``max(s, 0)``, a negative half ``max(-s, 0)``. Each target neuron gets its own train.

    Attributes:
        gain_hz_per_unit: Hz per unit of the value (per unit to the power ``exponent``).
        baseline_hz: Rate without a deviation.
        max_hz: Largest rate.
        reference: Value without a deviation.
        exponent: Power of the deviation, above 0.
        dead_zone: Deviations up to this size are not felt, 0 or more.
    """

    gain_hz_per_unit: float
    max_hz: float
    baseline_hz: float = 0.0
    reference: float = 0.0
    exponent: float = 1.0
    dead_zone: float = 0.0

    def __post_init__(self) -> None:
        _check_finite(self)
        if self.max_hz <= 0 or self.baseline_hz < 0 or self.exponent <= 0 or self.dead_zone < 0:
            raise ConfigurationError(
                f"{self}: max_hz and exponent must be above 0, baseline_hz and dead_zone at least 0"
            )


@dataclass(frozen=True, kw_only=True)
class CurrentEncoder(Declared):
    """Value to direct current: ``clip(baseline + gain * (value - reference), -max, max)`` pA.

    The halves of a deviation are formed as in `RateEncoder`. The same current flows into each target neuron;
    a target's ``weight_nS`` has no meaning and must be left out.
    """

    gain_pA_per_unit: float
    max_pA: float
    baseline_pA: float = 0.0
    reference: float = 0.0

    def __post_init__(self) -> None:
        _check_finite(self)
        if self.max_pA <= 0:
            raise ConfigurationError(f"{self}: max_pA must be above 0")


@dataclass(frozen=True, kw_only=True)
class TuningEncoder(Declared):
    """Value to the Poisson rates of a population code: Gaussian tuning curves around preferred values.

    A group of neurons whose target states ``preferred`` hears trains of
    ``baseline + gain * peak * exp(-(value - preferred)^2 / (2 * width^2))`` Hz, one train per neuron.
    """

    peak_hz: float
    width: float
    baseline_hz: float = 0.0

    def __post_init__(self) -> None:
        _check_finite(self)
        if self.peak_hz <= 0 or self.width <= 0 or self.baseline_hz < 0:
            raise ConfigurationError(f"{self}: peak_hz and width must be above 0, baseline_hz at least 0")


@dataclass(frozen=True, kw_only=True)
class SpikesEncoder(Declared):
    """Value to a number of spikes: ``round(clip(gain * (value - reference), 0, max))`` in each exchange.

    They are spread evenly over the exchange and reach all neurons of a group at the same times. The halves
    of a deviation are formed as in `RateEncoder`.
    """

    gain_per_unit: float
    max_spikes: int
    reference: float = 0.0

    def __post_init__(self) -> None:
        _check_finite(self)
        if self.max_spikes < 1:
            raise ConfigurationError(f"{self}: max_spikes must be at least 1")


Encoder = RateEncoder | CurrentEncoder | TuningEncoder | SpikesEncoder


@dataclass(frozen=True, kw_only=True)
class InputTarget(Declared):
    """A group of neurons that one channel of a source drives.

    Attributes:
        channel: Label of the channel.
        selector: The neurons.
        weight_nS: Excitatory synaptic weight of each input spike (not with a current encoder).
        gain: Factor on the encoder's gain for this group.
        half: Which half of the deviations the group hears.
        preferred: Value that the group prefers (tuning encoder only).
    """

    channel: str
    selector: Selector
    weight_nS: float | None = None
    gain: float = 1.0
    half: Half = Half.BOTH
    preferred: float | None = None

    def __post_init__(self) -> None:
        _check_finite(self)
        if self.weight_nS is not None:
            check_weight(self, self.weight_nS)


@dataclass(frozen=True, kw_only=True)
class DirectInputSource(Declared):
    """Values from outside, one per channel and exchange, that drive chosen neurons.

    Attributes:
        name: Name of the input port.
        unit: Unit of the values ("1" without).
        channels: Labels, in the order of the values.
        low: Smallest value; smaller ones act like it.
        high: Largest value; larger ones act like it.
        encoder: From a value to a rate or a current.
        targets: The neurons of each channel; every channel has at least one.
        delay_ms: From the device to the neurons; None means the network's minimum delay.
        provenance: Where the numbers come from.
        description: One line for users.
    """

    name: str
    unit: str
    channels: tuple[str, ...]
    low: float
    high: float
    encoder: Encoder
    targets: tuple[InputTarget, ...]
    provenance: str
    delay_ms: float | None = None
    description: str = ""

    def __post_init__(self) -> None:
        check_port(self.name, self.channels, self.low, self.high)
        for target in self.targets:
            if target.channel not in self.channels:
                raise ConfigurationError(
                    f"source {self.name}: a target names channel {target.channel!r}; "
                    f"there are {', '.join(self.channels)}"
                )
            if (target.weight_nS is None) != isinstance(self.encoder, CurrentEncoder):
                raise ConfigurationError(
                    f"source {self.name}, channel {target.channel}: give weight_nS with an encoder of spikes "
                    "and leave it out with a current encoder"
                )
            if (target.preferred is None) == isinstance(self.encoder, TuningEncoder):
                raise ConfigurationError(
                    f"source {self.name}, channel {target.channel}: give preferred with a tuning encoder "
                    "and leave it out with any other"
                )
        silent = [label for label in self.channels if all(label != target.channel for target in self.targets)]
        if silent:
            raise ConfigurationError(f"source {self.name}: no target for channel {', '.join(silent)}")
        if self.delay_ms is not None and not 0 < self.delay_ms < math.inf:
            raise ConfigurationError(
                f"source {self.name}: delay_ms = {self.delay_ms} must be positive and finite"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Transfer:
    """The encoders of many devices as arrays, shape ``[devices]`` each: one formula for all."""

    baseline: Floats
    gain: Floats
    reference: Floats
    exponent: Floats
    dead_zone: Floats
    sign: Floats
    lowest: Floats
    highest: Floats
    width: Floats

    @classmethod
    def of(cls, devices: Sequence[tuple[Encoder, InputTarget]]) -> Transfer:
        """Return the transfer of devices given as encoder and a target of their group."""
        columns = np.array([_coefficients(*device) for device in devices], dtype=float).reshape(-1, 9).T
        return cls(**dict(zip(cls.__dataclass_fields__, columns, strict=True)))

    def __call__(self, values: Floats) -> Floats:
        """Return each device's rate (Hz), current (pA) or number of spikes for each device's value."""
        deviation = values - self.reference
        shaped = deviation if self._is_linear else self._shaped(deviation)
        strength = self.baseline + self.gain * shaped
        return np.minimum(np.maximum(strength, self.lowest), self.highest)

    @cached_property
    def _is_linear(self) -> bool:
        """Whether all are straight lines, which spares most of an exchange's arithmetic."""
        bent = (self.exponent != 1.0) | (self.dead_zone != 0.0) | (self.sign != 0.0) | (self.width > 0.0)
        return not bent.any()

    def _shaped(self, deviation: Floats) -> Floats:
        size = np.maximum(np.abs(deviation) - self.dead_zone, 0.0) ** self.exponent
        signed = np.copysign(size, deviation)
        shaped = np.where(self.sign == 0.0, signed, np.maximum(self.sign * signed, 0.0))
        tuned = self.width > 0.0
        if tuned.any():
            z = deviation / np.where(tuned, self.width, 1.0)
            shaped = np.where(tuned, np.exp(-0.5 * np.where(tuned, z, 0.0) ** 2), shaped)
        return shaped


def check_port(name: str, channels: Sequence[str], low: float, high: float) -> None:
    """Raise `ConfigurationError` unless names are unique and the range is a finite interval."""
    if not name or not channels or len(set(channels)) != len(channels) or not all(channels):
        raise ConfigurationError(f"port {name!r}: a name and unique, non-empty channel labels are needed")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigurationError(f"port {name}: low = {low} must be below high = {high}, both finite")


def _coefficients(encoder: Encoder, target: InputTarget) -> tuple[float, ...]:
    """Return the fields of a transfer for one device."""
    sign = {Half.BOTH: 0.0, Half.POSITIVE: 1.0, Half.NEGATIVE: -1.0}[target.half]
    linear, factor = (1.0, 0.0, sign), target.gain
    match encoder:
        case RateEncoder():
            shape = (encoder.reference, encoder.exponent, encoder.dead_zone, sign)
            return (encoder.baseline_hz, factor * encoder.gain_hz_per_unit, *shape, 0.0, encoder.max_hz, 0.0)
        case CurrentEncoder():
            gain, limits = factor * encoder.gain_pA_per_unit, (-encoder.max_pA, encoder.max_pA)
            return (encoder.baseline_pA, gain, encoder.reference, *linear, *limits, 0.0)
        case SpikesEncoder():
            gain = factor * encoder.gain_per_unit
            return (0.0, gain, encoder.reference, *linear, 0.0, encoder.max_spikes, 0.0)
        case TuningEncoder():
            gain = factor * encoder.peak_hz
            highest = encoder.baseline_hz + max(gain, 0.0)
            return (encoder.baseline_hz, gain, target.preferred or 0.0, *linear, 0.0, highest, encoder.width)


def _check_finite(spec: Encoder | InputTarget) -> None:
    for name, value in vars(spec).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigurationError(f"{type(spec).__name__}: {name} = {value} must be finite")
