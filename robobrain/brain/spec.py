"""The specification of a brain: what is built, in the units of NEST, with an identity.

A ``BrainSpec`` is what remains of the tables after scaling and linearisation: the builder adds no number.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property

CYCLE_MS = 1.0
"""Shortest delay of the tables, which is the kernel's cycle; background input and relays keep to it."""


@dataclass(frozen=True, kw_only=True)
class Population:
    """Neurons of one type on one sheet.

    Attributes:
        name: E.g. ``M1_L5B_PT``.
        region: One of the seven regions.
        layer: Layer, zone or nucleus.
        sign: ``E`` or ``I``.
        size: Number of neurons built.
        size_full: Number of neurons at full size.
        model: NEST model.
        params: NEST parameters, the bias current included (``I_e``, pA).
        v_init_mV: Range from which each neuron draws its first membrane potential; None for relays.
        weight_per_nS_ex: Weight in units of ``model`` for one nS of an excitatory synapse (pA; 1 where the
            table's own unit is the model's).
        bias_per_mV: Current that shifts the mean membrane potential by one mV (pA/mV), for tuning.
    """

    name: str
    region: str
    layer: str
    sign: str
    size: int
    size_full: int
    model: str
    params: dict[str, float | list[float]] = field(default_factory=dict)
    v_init_mV: tuple[float, float] | None
    weight_per_nS_ex: float
    bias_per_mV: float


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Synapses from one population to another.

    Attributes:
        indegree: Mean number of synapses per target neuron; a fraction is drawn per target.
        weight: Mean weight in units of the target's model (pA; 1 for relays), negative if inhibitory.
        weight_log_sd: Width of the log-normal distribution of weights; 0 for one weight.
        sigma_mm: Width of the Gaussian around the target's place; None for a uniform draw.
        delay_ms: Shortest delay; each synapse adds a uniform draw up to ``delay_jitter_ms``.
        port: Receptor port of the target's model; 0 where the sign decides.
    """

    pre: str
    post: str
    receptor: str
    indegree: float
    weight: float
    weight_log_sd: float
    sigma_mm: float | None
    delay_ms: float
    delay_jitter_ms: float
    port: int

    @property
    def longest_delay_ms(self) -> float:
        """Largest delay that a synapse can draw."""
        return self.delay_ms + self.delay_jitter_ms

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies a projection: source, target and receptor."""
        return self.pre, self.post, self.receptor


@dataclass(frozen=True, kw_only=True)
class Drive:
    """Background input of a population.

    Attributes:
        rate_hz: Mean rate of events per neuron.
        weight: Weight in units of the population's model.
        inputs: Number of relays of the noise pool that each neuron listens to; 0 for an independent
            Poisson train per neuron.
    """

    population: str
    rate_hz: float
    weight: float
    inputs: int


@dataclass(frozen=True, kw_only=True)
class NoisePool:
    """Poisson relays from which neurons draw their background input, each with a delay of its own."""

    relays: int
    rate_hz: float
    delay_ms: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class BrainSpec:
    """Everything that determines the network that is built.

    Attributes:
        name: Name of the size.
        tuned: Whether bias currents for this size were tuned.
        resolution_ms: Time step.
        synapse_delay_max_ms: Longest delay of one synapse; slower paths go by a relay.
        settle_ms: Model time from the drawn start to the state that episodes begin with.
        seed: Seed of wiring and of initial membrane potentials.
        threads: Threads that this size runs with unless told otherwise.
        shuffled: Whether sources are permuted within each projection.
        altered: Lesions and controls, one phrase each; empty for the brain of the tables.
    """

    name: str
    tuned: bool
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    drives: tuple[Drive, ...]
    noise: NoisePool
    resolution_ms: float
    synapse_delay_max_ms: float
    settle_ms: float
    seed: int
    threads: int
    shuffled: bool = False
    altered: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name of the size with what was altered, e.g. ``small (lesion S1)``."""
        return f"{self.name} ({', '.join(self.altered)})" if self.altered else self.name

    @cached_property
    def identity(self) -> str:
        """Hash of everything that determines the network (16 hexadecimal digits)."""
        content = dataclasses.asdict(self)
        del content["threads"]  # how fast it runs, not what it is
        del content["altered"]  # how it was asked for; what it changed is in the rest
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def neurons(self) -> int:
        """Number of neurons, relays included."""
        return sum(population.size for population in self.populations)

    @property
    def synapses_expected(self) -> float:
        """Expected number of recurrent synapses, drives and devices excluded."""
        sizes = {population.name: population.size for population in self.populations}
        return sum(projection.indegree * sizes[projection.post] for projection in self.projections)
