"""Monitors whose data are histories: potentials, currents and field potentials sampled in time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from robobrain.brain.declared import Declared
from robobrain.brain.selectors import Selector
from robobrain.errors import ConfigurationError

LFP_DELAY_MS = 6.0
LFP_ALPHA = 1.65
"""The reference weighted sum of Mazzoni et al. 2015 (doi 10.1371/journal.pcbi.1004584)."""


class FieldSignal(StrEnum):
    """What is summed over the neurons of a group.

    ``potential``: membrane potentials (mV). ``current``: synaptic currents (pA). ``lfp``: the proxy
    ``sum of I_ex(t - 6 ms) - 1.65 * sum of I_in(t)`` (pA), where inhibitory currents are negative, so that
    both parts add up; meant for pyramidal cells.
    """

    POTENTIAL = "potential"
    CURRENT = "current"
    LFP = "lfp"

    @property
    def unit(self) -> str:
        """Unit of the sum."""
        return "mV" if self is FieldSignal.POTENTIAL else "pA"


@dataclass(frozen=True, kw_only=True)
class FieldOutputMonitor(Declared):
    """A summed signal of groups of neurons, one column per group.

    Attributes:
        name: Name of the history.
        signal: What is summed.
        groups: For each column the selectors whose neurons are summed, each neuron once. Relays are left out.
        interval_ms: Time between samples: a multiple of the kernel's resolution; with ``lfp`` a divisor of
            6 ms.
        provenance: Where the numbers come from.
        description: One line for users.
    """

    name: str
    signal: FieldSignal
    groups: Mapping[str, tuple[Selector, ...]]
    provenance: str
    interval_ms: float = 1.0
    description: str = ""

    def __post_init__(self) -> None:
        if not self.groups or not all(self.groups.values()) or not all(self.groups):
            raise ConfigurationError(f"monitor {self.name}: groups need labels and selectors")
        _check_sampling(self.name, self.interval_ms)
        lags = LFP_DELAY_MS / self.interval_ms
        if self.signal is FieldSignal.LFP and not math.isclose(lags, max(1, round(lags)), rel_tol=1e-9):
            raise ConfigurationError(
                f"monitor {self.name}: interval_ms = {self.interval_ms:g} must divide the proxy's delay of "
                f"{LFP_DELAY_MS:g} ms"
            )


@dataclass(frozen=True, kw_only=True)
class VoltageMonitor(Declared):
    """The membrane potential (mV) of each chosen neuron, one column per neuron, named by its node id."""

    name: str
    targets: tuple[Selector, ...]
    provenance: str
    interval_ms: float = 1.0
    description: str = ""

    def __post_init__(self) -> None:
        if not self.targets:
            raise ConfigurationError(f"monitor {self.name}: at least one selector is needed")
        _check_sampling(self.name, self.interval_ms)


def parse_voltages(text: str) -> VoltageMonitor:
    """Return the monitor that ``POPULATION:COUNT`` asks for, named ``V_m_POPULATION``.

    The neurons are evenly spread over the population; their potentials are sampled each millisecond.

    Raises:
        ConfigurationError: The text is something else.
    """
    population, _, count = text.rpartition(":")
    if not population or not count.isascii() or not count.isdigit():
        raise ConfigurationError(
            f"{text!r} does not say whose potentials: give POPULATION:COUNT, e.g. M1_L5B_PT:5"
        )
    return VoltageMonitor(
        name=f"V_m_{population}",
        targets=(Selector(population=population, count=int(count)),),
        provenance="chosen on the command line",
    )


def _check_sampling(name: str, interval_ms: float) -> None:
    if not name:
        raise ConfigurationError("a monitor needs a name")
    if not 0 < interval_ms < math.inf:
        raise ConfigurationError(f"monitor {name}: interval_ms must be positive and finite")
