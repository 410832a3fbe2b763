"""Sources that need no values from outside: equations in time, noise, rhythms; and silenced neurons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from robobrain.brain.declared import Declared, check_weight
from robobrain.brain.equation import Equation
from robobrain.brain.selectors import Selector
from robobrain.errors import ConfigurationError

CHECKED_S = 60.0
"""An equation must have finite values over this much time from the start of an episode."""


class Unit(StrEnum):
    """What a source puts into its neurons.

    ``Hz``: a Poisson train per neuron. ``pA``: a current. ``mV``: the current that shifts the mean membrane
    potential of each population by that much, so that one number suits populations of different neurons.
    """

    RATE = "Hz"
    CURRENT = "pA"
    POTENTIAL = "mV"


@dataclass(frozen=True, kw_only=True)
class Window(Declared):
    """When a source acts: from ``start_ms`` to ``stop_ms`` of each episode's time; None means to its end."""

    start_ms: float = 0.0
    stop_ms: float | None = None

    def __post_init__(self) -> None:
        stop_ms = math.inf if self.stop_ms is None else self.stop_ms
        if not 0.0 <= self.start_ms < stop_ms:
            raise ConfigurationError(f"{self}: 0 <= start_ms < stop_ms is needed")


ALWAYS = Window()


@dataclass(frozen=True, kw_only=True)
class DirectEquationSource(Declared):
    """An equation in the episode's time that drives chosen neurons.

    The value of time ``t`` leaves the device at ``t`` and reaches the neurons ``delay_ms`` later. It is held
    for ``sample_ms`` at the value of the middle of that span.

    Attributes:
        name: Name of the source.
        equation: Text for `robobrain.brain.equation.Equation`; ``t`` is in seconds.
        unit: Unit of its value.
        targets: The neurons.
        low: Smaller values act like this one.
        high: Larger values act like this one.
        parameters: Numbers, or texts with units, by name.
        weight_nS: Excitatory weight of each spike (with the unit Hz only).
        sample_ms: How long a value is held; divides the exchange.
        delay_ms: From the device to the neurons; None means the network's minimum delay.
        window: When it acts.
        provenance: Where the numbers come from.
        description: One line for users.
    """

    name: str
    equation: str
    unit: Unit
    targets: tuple[Selector, ...]
    low: float
    high: float
    provenance: str
    parameters: Mapping[str, float | str] = field(default_factory=dict)
    weight_nS: float | None = None
    sample_ms: float = 1.0
    delay_ms: float | None = None
    window: Window = ALWAYS
    description: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, self.targets)
        check_unit(self.name, self.unit, self.weight_nS)
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ConfigurationError(f"source {self.name}: low must be below high, both finite")
        if self.unit is Unit.RATE and self.low < 0:
            raise ConfigurationError(f"source {self.name}: a rate has no values below 0; raise low")
        if not 0 < self.sample_ms < math.inf:
            raise ConfigurationError(f"source {self.name}: sample_ms must be positive and finite")
        values = self.function()(np.arange(0.0, CHECKED_S, 0.01))
        if not np.isfinite(values).all():
            t_s = float(np.flatnonzero(~np.isfinite(values))[0]) * 0.01
            raise ConfigurationError(
                f"source {self.name}: {self.equation!r} has no finite value at t = {t_s:g} s"
            )

    def function(self) -> Equation:
        """Return the parsed equation."""
        try:
            return Equation(self.equation, self.parameters)
        except ConfigurationError as error:
            raise ConfigurationError(f"source {self.name}: {error}") from error


@dataclass(frozen=True, kw_only=True)
class GaussianNoise(Declared):
    """Current that is drawn anew every ``hold_ms`` from a normal distribution, for each neuron on its own."""

    mean: float
    deviation: float
    unit: Unit = Unit.CURRENT
    hold_ms: float = 1.0

    def __post_init__(self) -> None:
        if self.unit is Unit.RATE:
            raise ConfigurationError("noise of a rate is what PoissonNoise is for; use pA or mV here")
        if not (math.isfinite(self.mean) and 0 <= self.deviation < math.inf and 0 < self.hold_ms < math.inf):
            raise ConfigurationError(f"{self}: mean finite, deviation at least 0, hold_ms above 0 are needed")


@dataclass(frozen=True, kw_only=True)
class PoissonNoise(Declared):
    """Independent Poisson trains: counts in a time ``T`` have mean ``rate * T`` and deviation its root."""

    rate_hz: float
    weight_nS: float

    def __post_init__(self) -> None:
        if not 0 < self.rate_hz < math.inf:
            raise ConfigurationError(f"{self}: rate_hz must be positive and finite")
        check_weight(self, self.weight_nS)


@dataclass(frozen=True, kw_only=True)
class UniformRegionSource(Declared):
    """Noise of stated mean and deviation, the same for all neurons of a region, a layer or a population."""

    name: str
    targets: tuple[Selector, ...]
    noise: GaussianNoise | PoissonNoise
    provenance: str
    delay_ms: float | None = None
    window: Window = ALWAYS
    description: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, self.targets)


@dataclass(frozen=True, kw_only=True)
class GlobalSource(Declared):
    """A rhythm that all neurons feel, each region with its own lag.

    At the neurons of a region and the episode's time ``t`` it is
    ``amplitude * sin(2 * pi * frequency * (t - lag) + phase)``. Relays, which have no membrane, are left out.

    Attributes:
        name: Name of the source.
        frequency_hz: Frequency.
        amplitude: Amplitude in ``unit``.
        unit: ``mV`` or ``pA``. A membrane follows fast rhythms less than a constant current.
        phase_rad: Phase at time 0 without lag.
        lag_ms: Lag of regions by name; regions that are not named have none.
        regions: Only these regions; None for all.
        window: When it acts.
        provenance: Where the numbers come from.
        description: One line for users.
    """

    name: str
    frequency_hz: float
    amplitude: float
    provenance: str
    unit: Unit = Unit.POTENTIAL
    phase_rad: float = 0.0
    lag_ms: Mapping[str, float] = field(default_factory=dict)
    regions: tuple[str, ...] | None = None
    window: Window = ALWAYS
    description: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigurationError("a source needs a name")
        if self.unit is Unit.RATE:
            raise ConfigurationError(f"source {self.name}: a rhythm is in mV or pA, not in Hz")
        numbers = (self.frequency_hz, self.amplitude, self.phase_rad, *self.lag_ms.values())
        if not all(map(math.isfinite, numbers)) or self.frequency_hz <= 0:
            raise ConfigurationError(
                f"source {self.name}: finite numbers and a frequency above 0 Hz are needed"
            )


@dataclass(frozen=True, kw_only=True)
class Silence(Declared):
    """Neurons that never spike in an episode: their threshold is out of reach, their membrane lives on."""

    name: str
    targets: tuple[Selector, ...]

    def __post_init__(self) -> None:
        check_name(self.name, self.targets)


Signal = DirectEquationSource | UniformRegionSource | GlobalSource


def check_name(name: str, targets: tuple[Selector, ...]) -> None:
    """Raise `ConfigurationError` unless there are a name and targets."""
    if not name or not targets:
        raise ConfigurationError(f"{name or 'an entry'!r}: a name and at least one selector are needed")


def check_unit(name: str, unit: Unit, weight_nS: float | None) -> None:
    """Raise `ConfigurationError` unless a weight is given exactly where spikes are sent."""
    if (weight_nS is None) == (unit is Unit.RATE):
        raise ConfigurationError(f"source {name}: give weight_nS with the unit Hz, and with no other")
    if weight_nS is not None:
        check_weight(f"source {name}", weight_nS)
