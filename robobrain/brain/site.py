"""Where devices are put: the kernel, its grid of times, and the populations that live in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robobrain.brain.nodes import is_multiple
from robobrain.brain.selectors import NodeIds, PlacedPopulation, Selector, select_groups
from robobrain.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True, eq=False)
class Site:
    """A NEST kernel with a brain in it, as the makers of devices need it.

    Attributes:
        nest: The NEST module.
        populations: All populations of the brain, by name.
        resolution_ms: Time step of the kernel.
        exchange_ms: Usual length of an exchange.
        min_delay_ms: Smallest delay of the network's connections; no device may go below it.
        low_level: Use NEST's private calls where they exist.
        module: Module of the packed neurons that the kernel has loaded; None where it has not.
        max_delay_ms: Largest delay of the network's connections; once it has run none may go beyond it.
    """

    nest: Any
    populations: Mapping[str, PlacedPopulation]
    resolution_ms: float
    exchange_ms: float
    min_delay_ms: float
    low_level: bool = True
    module: Path | None = None
    max_delay_ms: float = math.inf

    def __post_init__(self) -> None:
        if not is_multiple(self.exchange_ms, self.min_delay_ms) or not is_multiple(
            self.min_delay_ms, self.resolution_ms
        ):
            raise ConfigurationError(
                f"exchange_ms = {self.exchange_ms} must be a multiple of the network's minimum delay "
                f"{self.min_delay_ms} ms, and that of the resolution {self.resolution_ms} ms"
            )

    @property
    def steps(self) -> int:
        """Time steps of an exchange."""
        return round(self.exchange_ms / self.resolution_ms)

    def delay_ms(self, who: str, wanted_ms: float | None) -> float:
        """Return the delay of a device's connections: the wanted one, or the smallest.

        Raises:
            ConfigurationError: It is off the grid, or beyond the network's smallest or largest.
        """
        if wanted_ms is None:
            return self.min_delay_ms
        if wanted_ms < self.min_delay_ms - 1e-9 or not is_multiple(wanted_ms, self.resolution_ms):
            raise ConfigurationError(
                f"source {who}: delay_ms = {wanted_ms} must be a multiple of the resolution "
                f"{self.resolution_ms} ms and at least the network's minimum delay {self.min_delay_ms} ms"
            )
        if wanted_ms > self.max_delay_ms + 1e-9:
            raise ConfigurationError(
                f"source {who}: delay_ms = {wanted_ms} is above the longest delay of the network, "
                f"{self.max_delay_ms} ms; nothing longer can be added to a network that has run"
            )
        return wanted_ms

    def neurons(self, who: str, selector: Selector) -> list[tuple[PlacedPopulation, NodeIds]]:
        """Return the picked neurons that have a membrane, population by population.

        Relays are left out of a region, and refused where they are named.

        Raises:
            ConfigurationError: Nothing that has a membrane is picked.
        """
        return with_membrane(who, select_groups(selector, self.populations))

    def connect(self, device: Any, ids: NodeIds, *, weight: float, delay_ms: float) -> None:
        """Connect a device to all of the neurons."""
        synapse = {"weight": weight, "delay": delay_ms}
        self.nest.Connect(device, self.nest.NodeCollection(ids), "all_to_all", synapse)

    def listen(self, meter: Any, ids: NodeIds) -> None:
        """Let a multimeter record all of the neurons."""
        self.connect(meter, ids, weight=1.0, delay_ms=self.min_delay_ms)

    def tap(self, ids: NodeIds, recorder: Any, *, weight: float = 1.0) -> None:
        """Let the spikes of all of the neurons reach a recorder or counter."""
        synapse = {"weight": weight, "delay": self.min_delay_ms}
        self.nest.Connect(self.nest.NodeCollection(ids), recorder, "all_to_all", synapse)


def with_membrane(
    who: str, groups: list[tuple[PlacedPopulation, NodeIds]]
) -> list[tuple[PlacedPopulation, NodeIds]]:
    """Return the groups that are no relays.

    Raises:
        ConfigurationError: None is left.
    """
    neurons = [(population, ids) for population, ids in groups if not population.relay]
    if not neurons:
        relays = ", ".join(population.name for population, _ in groups)
        raise ConfigurationError(
            f"{who}: {relays} only repeats spikes and has neither membrane nor currents; choose other cells"
        )
    return neurons
