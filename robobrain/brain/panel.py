"""The brain's front panel: NEST devices that take in values and give out readings, once per exchange.

Everything here may be used between ``nest.Prepare`` and ``nest.Cleanup``. Where the kernel has packed
neurons, rates are written to packed sources and counts read from packed counters. Otherwise only devices and
parameters are used that NEST heeds between two ``Run`` calls: ``inhomogeneous_poisson_generator`` (a
``poisson_generator`` ignores a new rate), ``dc_generator`` and ``spike_generator``; and neurons count spikes,
as reading a recorder costs its whole history.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robobrain.brain.inputs import Inputs
from robobrain.brain.monitors import DirectOutputMonitor
from robobrain.brain.nodes import Floats
from robobrain.brain.outputs import Outputs
from robobrain.brain.selectors import PlacedPopulation
from robobrain.brain.site import Site
from robobrain.brain.sources import DirectInputSource
from robobrain.errors import ConfigurationError

logger = logging.getLogger(__name__)


class PortRow(NamedTuple):
    """A port as plain data."""

    name: str
    unit: str
    channels: tuple[str, ...]
    low: float
    high: float
    description: str


class Panel:
    """Writes the inputs to and reads the outputs from a brain in NEST. Made by `Panel.build`."""

    def __init__(
        self, site: Site, sources: Sequence[DirectInputSource], monitors: Sequence[DirectOutputMonitor]
    ) -> None:
        """Create and connect all devices at ``site``; errors as in `build`."""
        self.ports = input_ports(sources), output_ports(monitors)
        for ports in (sources, monitors):
            names = [port.name for port in ports]
            if len(set(names)) != len(names):
                raise ConfigurationError(f"port names must be unique: {', '.join(names)}")
        self._exchange_ms = site.exchange_ms
        self._inputs, self._outputs = Inputs(site, sources), Outputs(site, monitors)
        logger.info(
            "panel: %d inputs on %d devices, %d outputs",
            self.input_size,
            self._inputs.devices,
            self.output_size,
        )

    @classmethod
    def build(
        cls,
        nest: Any,
        populations: Mapping[str, PlacedPopulation],
        sources: Sequence[DirectInputSource],
        monitors: Sequence[DirectOutputMonitor],
        *,
        resolution_ms: float,
        exchange_ms: float,
        min_delay_ms: float,
        module: Path | None = None,
        low_level: bool = True,
    ) -> Panel:
        """Create and connect all devices; call before ``nest.Prepare``.

        Args:
            nest: The NEST module.
            populations: All populations of the brain, by name.
            sources: What the inputs drive.
            monitors: What the outputs report.
            resolution_ms: Time step of the kernel.
            exchange_ms: Usual length of an exchange.
            min_delay_ms: Smallest delay of the network's connections; no device may go below it.
            module: Module of the packed neurons that the kernel has loaded; None where it has not.
            low_level: Use NEST's private calls where they exist.

        Raises:
            ConfigurationError: Duplicate names, unknown populations, empty selections, impossible delays.
        """
        site = Site(
            nest=nest,
            populations=populations,
            resolution_ms=resolution_ms,
            exchange_ms=exchange_ms,
            min_delay_ms=min_delay_ms,
            module=module,
            low_level=low_level,
        )
        return cls(site, sources, monitors)

    @property
    def input_size(self) -> int:
        """Number of values that `write` takes."""
        return self._inputs.size

    @property
    def output_size(self) -> int:
        """Number of values that `read` returns."""
        return self._outputs.size

    def write(self, inputs: ArrayLike, t_ms: float) -> None:
        """Let ``inputs`` act from ``t_ms``, NEST's present time, until they are written again.

        The first spike can be emitted at ``t_ms`` plus one resolution step and arrives a delay later. Values
        beyond a port's range act like its end. A spikes encoder emits its spikes anew with each write.

        Raises:
            ConfigurationError: Wrong shape, NaN or infinite values.
        """
        self._inputs.write(np.asarray(inputs, dtype=float), t_ms)

    def read(self, exchange_ms: float | None = None) -> NDArray[np.float32]:
        """Return the outputs after an exchange, float32 ``[output_size]``.

        A spike is seen once it has reached its counter, one minimum delay after its emission.

        Args:
            exchange_ms: Model time since the last reading; None means the panel's exchange period.
        """
        return self._outputs.read(self._exchange_ms if exchange_ms is None else exchange_ms)

    @property
    def counted(self) -> Floats:
        """Spikes that each channel has counted since the network was built, up to the last reading."""
        return self._outputs.counted

    def begin(self, span_ms: float | None = None) -> NDArray[np.float32]:
        """Start an episode: forget the past and return the outputs at its start, float32 ``[output_size]``.

        Args:
            span_ms: Model time since the last reading or begin. If given, the spikes of that span are taken
                as the steady state and the rates start there; otherwise they start at zero.
        """
        return self._outputs.begin(span_ms)

    def quieten(self, t_ms: float) -> None:
        """Let no input act from ``t_ms``, NEST's present time, until they are written again."""
        self._inputs.quieten(t_ms)

    def begin_again(self, span_ms: float) -> NDArray[np.float32]:
        """Start another episode with the outputs with which `begin` started the first.

        Args:
            span_ms: As it was given to `begin`.
        """
        return self._outputs.begin_again(span_ms)


def input_ports(sources: Sequence[DirectInputSource]) -> tuple[PortRow, ...]:
    """Return the port of each source."""
    return tuple(PortRow(s.name, s.unit, s.channels, s.low, s.high, s.description) for s in sources)


def output_ports(monitors: Sequence[DirectOutputMonitor]) -> tuple[PortRow, ...]:
    """Return the port of each monitor that gives out values once per exchange."""
    return tuple(
        PortRow(m.name, m.unit, m.values, m.low, m.high, m.description) for m in monitors if m.values
    )
