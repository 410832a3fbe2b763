"""Small hand-made populations in NEST for the tests of sources and monitors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nest
import numpy as np

from robobrain.brain.panel import Panel
from robobrain.brain.selectors import PlacedPopulation, Selector
from robobrain.brain.sources import DirectInputSource, InputTarget, RateEncoder

RESOLUTION_MS = 0.5
EXCHANGE_MS = 10.0
MIN_DELAY_MS = 1.0
MODULE: Path | None = None
"""Module of packed neurons that kernels load and panels use; None for NEST's own."""


def fresh_kernel(*, threads: int = 1, seed: int = 7) -> None:
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.set(resolution=RESOLUTION_MS, local_num_threads=threads, rng_seed=seed)
    if MODULE is not None:
        nest.Install(str(MODULE))


def placed(
    name: str,
    size: int,
    *,
    first_id: int = 1,
    region: str = "M1",
    weight: float = 1.0,
    layer: str = "",
    relay: bool = False,
    current_per_mV: float = 1.0,
) -> PlacedPopulation:
    side = int(np.ceil(np.sqrt(size)))
    site = np.arange(size)
    return PlacedPopulation(
        name=name,
        region=region,
        first_id=first_id,
        size=size,
        x_mm=(site // side + 0.5) / side - 0.5,
        y_mm=(site % side + 0.5) / side - 0.5,
        weight_per_nS_ex=weight,
        layer=layer,
        relay=relay,
        current_per_mV=current_per_mV,
    )


def population(
    name: str,
    size: int,
    model: str = "parrot_neuron",
    *,
    region: str = "M1",
    weight: float = 1.0,
    layer: str = "",
    relay: bool = False,
    current_per_mV: float = 1.0,
    **parameters: Any,
) -> PlacedPopulation:
    nodes = nest.Create(model, size, parameters)
    return placed(
        name,
        size,
        first_id=nodes[0].global_id,
        region=region,
        weight=weight,
        layer=layer,
        relay=relay,
        current_per_mV=current_per_mV,
    )


def poisson_population(name: str, size: int, rate_hz: float, *, region: str = "M1") -> PlacedPopulation:
    parrots = population(name, size, region=region)
    generator = nest.Create("poisson_generator", params={"rate": rate_hz})
    nest.Connect(generator, nodes(parrots), "all_to_all", {"delay": MIN_DELAY_MS})
    return parrots


def nodes(group: PlacedPopulation) -> Any:
    return nest.NodeCollection(list(range(group.first_id, group.first_id + group.size)))


def recorder(group: PlacedPopulation) -> Any:
    device = nest.Create("spike_recorder")
    nest.Connect(nodes(group), device, "all_to_all", {"delay": MIN_DELAY_MS})
    return device


def rate_source(
    name: str = "in", *, target: str = "target", low: float = -10.0, high: float = 10.0, **changes: Any
) -> DirectInputSource:
    encoder = changes.pop("encoder", RateEncoder(gain_hz_per_unit=100.0, max_hz=1e6))
    targets = changes.pop(
        "targets", (InputTarget(channel="a", selector=Selector(population=target), weight_nS=1.0),)
    )
    return DirectInputSource(
        **{
            "name": name,
            "unit": "1",
            "channels": ("a",),
            "low": low,
            "high": high,
            "encoder": encoder,
            "targets": targets,
            "provenance": "assumed: test",
            **changes,
        }
    )


def build(groups: list[PlacedPopulation], sources: list[Any], monitors: list[Any], **changes: Any) -> Panel:
    return Panel.build(
        nest,
        {group.name: group for group in groups},
        sources,
        monitors,
        **{
            "resolution_ms": RESOLUTION_MS,
            "exchange_ms": EXCHANGE_MS,
            "min_delay_ms": MIN_DELAY_MS,
            "module": MODULE,
            **changes,
        },
    )
