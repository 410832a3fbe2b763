"""Monitors: how spikes of chosen neurons become signals for the outside, once per exchange."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.declared import Declared
from robobrain.brain.selectors import Selector
from robobrain.brain.sources import check_port
from robobrain.errors import ConfigurationError

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class CountDecoder(Declared):
    """Number of spikes of the group in the exchange."""

    kind: Literal["count"] = "count"


@dataclass(frozen=True, kw_only=True)
class RateDecoder(Declared):
    """Rate per neuron through a causal filter, in Hz, at the end of the exchange.

    The kernel is ``(exp(-s / tau_decay) - exp(-s / tau_rise)) / (tau_decay - tau_rise)`` for ``s >= 0``: area
    one, so a constant rate is reported as itself.
    """

    tau_rise_ms: float = 5.0
    tau_decay_ms: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.tau_rise_ms < self.tau_decay_ms < math.inf:
            raise ConfigurationError(f"{self}: 0 < tau_rise_ms < tau_decay_ms is needed")


@dataclass(frozen=True, kw_only=True)
class MeanRateDecoder(Declared):
    """Rate per neuron in an exponential window ``exp(-s / tau) / tau``, in Hz, at the end of the exchange."""

    tau_ms: float = 100.0

    def __post_init__(self) -> None:
        if not 0 < self.tau_ms < math.inf:
            raise ConfigurationError(f"{self}: tau_ms must be positive and finite")


@dataclass(frozen=True, kw_only=True)
class PopulationVectorDecoder(Declared):
    """Sum of preferred directions weighted by rates, in Hz: two values, along x and y.

    ``2 / n * sum of rate_k * (cos d_k, sin d_k)`` over the ``n`` groups with the preferred directions
    ``d_k``, rates as by `MeanRateDecoder`. Where the directions are evenly spaced and rates are
    ``b + m * cos(d - d_k)``, the vector is ``m * (cos d, sin d)``.

    Attributes:
        preferred_deg: Preferred direction of each channel's group, in the order of the channels.
        tau_ms: Time constant of the rates.
    """

    preferred_deg: tuple[float, ...]
    tau_ms: float = 100.0

    def __post_init__(self) -> None:
        if len(self.preferred_deg) < 2 or not np.isfinite(self.preferred_deg).all():
            raise ConfigurationError(f"{self}: preferred_deg needs two or more finite directions")
        if not 0 < self.tau_ms < math.inf:
            raise ConfigurationError(f"{self}: tau_ms must be positive and finite")

    @property
    def weights(self) -> Floats:
        """What each group's rate adds to x and to y, shape ``[2, groups]``."""
        directions = np.deg2rad(self.preferred_deg)
        weights: Floats = 2.0 / len(directions) * np.stack([np.cos(directions), np.sin(directions)])
        return weights


@dataclass(frozen=True, kw_only=True)
class SpikeTimesDecoder(Declared):
    """Each spike with its time and its neuron, handed out as a history instead of one value per exchange."""

    kind: Literal["spike_times"] = "spike_times"


Decoder = CountDecoder | RateDecoder | MeanRateDecoder | PopulationVectorDecoder | SpikeTimesDecoder


@dataclass(frozen=True, kw_only=True)
class DirectOutputMonitor(Declared):
    """Spikes of chosen neurons to the outside, one value per channel and exchange.

    Attributes:
        name: Name of the output port.
        unit: Unit of the values.
        low: Smallest value that is to be expected (for the port's description; values are not clipped).
        high: Largest value that is to be expected.
        channels: For each label the selectors whose cells are pooled, in the order of the values.
        decoder: From spike counts to the value.
        provenance: Where the numbers come from.
        description: One line for users.
    """

    name: str
    unit: str
    low: float
    high: float
    channels: Mapping[str, tuple[Selector, ...]]
    decoder: Decoder
    provenance: str
    description: str = ""

    def __post_init__(self) -> None:
        check_port(self.name, tuple(self.channels), self.low, self.high)
        empty = [label for label, selectors in self.channels.items() if not selectors]
        if empty:
            raise ConfigurationError(f"monitor {self.name}: no selector for channel {', '.join(empty)}")
        if isinstance(self.decoder, PopulationVectorDecoder):
            directions = len(self.decoder.preferred_deg)
            if directions != len(self.channels):
                raise ConfigurationError(
                    f"monitor {self.name}: {directions} preferred directions for {len(self.channels)} "
                    "channels: give one per channel"
                )

    @property
    def values(self) -> tuple[str, ...]:
        """Labels of the values that the monitor gives out once per exchange."""
        match self.decoder:
            case PopulationVectorDecoder():
                return ("x", "y")
            case SpikeTimesDecoder():
                return ()
            case _:
                return tuple(self.channels)

    @property
    def mixing(self) -> Floats:
        """What the decoded value of each channel adds to each value given out, ``[values, channels]``."""
        if isinstance(self.decoder, PopulationVectorDecoder):
            return self.decoder.weights
        return np.eye(len(self.channels))


class Readout:
    """Turns the counts of successive exchanges into the values of all channels.

    Inside an exchange only the number of spikes is known, so they are taken as spread evenly over it; for
    that signal the filters are advanced exactly, whatever the length of the exchange. State: two exponential
    traces per channel.
    """

    def __init__(self, decoders: Sequence[Decoder], cells: Sequence[int]) -> None:
        """Prepare for channels with these decoders and group sizes, shape ``[channels]`` each."""
        terms = [_terms(decoder, count) for decoder, count in zip(decoders, cells, strict=True)]
        self._tau_ms = np.array([[tau for tau, _ in pair] for pair in terms], dtype=float).reshape(-1, 2).T
        self._factor = (
            np.array([[factor for _, factor in pair] for pair in terms], dtype=float).reshape(-1, 2).T
        )
        self._trace = np.zeros_like(self._tau_ms)
        self._exchange_ms = math.nan
        self._kept = self._gained = self._trace

    def clear(self) -> None:
        """Forget all spikes."""
        self._trace = np.zeros_like(self._trace)

    def settle(self, counts: Floats, span_ms: float) -> Floats:
        """Start from the steady state of ``counts`` spikes per ``span_ms``; return it, shape ``[channels]``.

        Counting channels, which have no rate, give the counts themselves.
        """
        per_ms = counts / span_ms
        self._trace = np.where(self._tau_ms > 0, per_ms * self._tau_ms, counts)
        return self._values()

    def advance(self, counts: Floats, exchange_ms: float) -> Floats:
        """Take the counts of an exchange and return each channel's value at its end, shape ``[channels]``."""
        if exchange_ms != self._exchange_ms:
            self._set_exchange(exchange_ms)
        self._trace *= self._kept
        self._trace += counts * self._gained
        return self._values()

    def _set_exchange(self, exchange_ms: float) -> None:
        """Precompute decay ``exp(-T / tau)`` and gain ``tau / T * (1 - exp(-T / tau))`` of the traces."""
        filtered = self._tau_ms > 0
        ratio = np.divide(exchange_ms, self._tau_ms, out=np.full_like(self._tau_ms, np.inf), where=filtered)
        self._kept = np.exp(-ratio)
        self._gained = -np.expm1(-ratio) / np.where(filtered, ratio, 1.0)
        self._exchange_ms = exchange_ms

    def _values(self) -> Floats:
        weighted = self._trace * self._factor
        values: Floats = weighted[0] + weighted[1]
        return values


def _terms(decoder: Decoder, cells: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return (tau in ms, factor) of the two traces; tau 0 is the plain count of the last exchange."""
    hz = 1000.0 / cells
    if isinstance(decoder, RateDecoder):
        factor = hz / (decoder.tau_decay_ms - decoder.tau_rise_ms)
        return (decoder.tau_decay_ms, factor), (decoder.tau_rise_ms, -factor)
    if isinstance(decoder, MeanRateDecoder | PopulationVectorDecoder):
        return (decoder.tau_ms, hz / decoder.tau_ms), (0.0, 0.0)
    return (0.0, 1.0), (0.0, 0.0)
