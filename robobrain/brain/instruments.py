"""The devices of episodes in NEST: made in a copy of the settled brain, from which the episodes are copied.

Nothing is ever taken out of a network again: a brain without devices is the settled one, and devices exist
only in the copies that were told to have them. So an episode without them is the same, bit by bit, whatever
other episodes had. What NEST ignores between two ``Run`` calls (a ``poisson_generator``'s rate, an
``ac_generator``'s amplitude, any start and stop) is set before ``Prepare``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.devices import Devices
from robobrain.brain.history_taps import FieldTap, SampleChunk, SpikeTimesTap, Tap, VoltageTap
from robobrain.brain.inspection import inspect, membranes, rhythm_targets
from robobrain.brain.nodes import Floats, Nodes
from robobrain.brain.panel import Panel
from robobrain.brain.recorders import Recorders
from robobrain.brain.selectors import select_groups
from robobrain.brain.signals import (
    DirectEquationSource,
    GaussianNoise,
    GlobalSource,
    UniformRegionSource,
    Unit,
    Window,
)
from robobrain.brain.site import Site
from robobrain.errors import ConfigurationError

BLOCK_MS = 100.0
"""Equations are computed and handed to NEST in blocks of about this much time."""


class Instruments:
    """Devices in the kernel of this process, from the start of an episode to its end."""

    def __init__(self, site: Site, devices: Devices, t0_ms: float) -> None:
        """Create and connect everything; call before ``nest.Prepare``.

        Args:
            site: The brain.
            devices: What to make.
            t0_ms: The kernel's time at the start of the episode.

        Raises:
            ConfigurationError: A device does not fit the brain; nothing was made.
        """
        inspect(devices, site)
        self._history_ms, self._since_ms = devices.history_ms, 0.0
        self.panel = Panel(site, devices.inputs, devices.outputs)
        self._equations = [_EquationDevice(site, source, t0_ms) for source in devices.equations]
        for noise in devices.noises:
            _make_noise(site, noise, t0_ms)
        for rhythm in devices.rhythms:
            _make_rhythm(site, rhythm, t0_ms)
        for silence in devices.silenced:
            ids = membranes(silence.name, silence.targets, site)
            site.nest.NodeCollection(ids).V_th = math.inf
        self._recorders = Recorders(site, t0_ms)
        self._taps: list[Tap] = [
            *(FieldTap(site, field, self._recorders) for field in devices.fields),
            *(VoltageTap(site, voltage, self._recorders) for voltage in devices.voltages),
            *(SpikeTimesTap(site, monitor, self._recorders) for monitor in devices.spike_times),
        ]
        self._recorders.connect()

    def write(self, inputs: NDArray[np.float32], t_ms: float) -> None:
        """Let the inputs act from ``t_ms`` on, NEST's present time, and the equations go on.

        Raises:
            ConfigurationError: An input or the value of an equation is not finite.
        """
        for equation in self._equations:
            equation.advance(t_ms)
        self.panel.write(inputs, t_ms)

    def advance(self, run_ms: float) -> tuple[SampleChunk, ...]:
        """Count ``run_ms`` of model time after a ``Run``; return the histories that are due, else nothing."""
        self._since_ms += run_ms
        return self.flush() if self._since_ms >= self._history_ms - 1e-9 else ()

    def flush(self) -> tuple[SampleChunk, ...]:
        """Return all samples since the last ones; call it between ``Prepare`` and ``Cleanup``."""
        self._since_ms = 0.0
        return tuple(tap.take() for tap in self._taps) if self._recorders.read() else ()


class _EquationDevice:
    """A generator that plays an equation, block by block."""

    def __init__(self, site: Site, source: DirectEquationSource, t0_ms: float) -> None:
        self._source, self._value, self._t0_ms = source, source.function(), t0_ms
        self._resolution_ms = site.resolution_ms
        exchanges = max(1, round(BLOCK_MS / site.exchange_ms))
        self._block_ms = exchanges * site.exchange_ms
        self._written_to_ms = t0_ms
        rate = source.unit is Unit.RATE
        model = "inhomogeneous_poisson_generator" if rate else "step_current_generator"
        self._keys = ("rate_times", "rate_values") if rate else ("amplitude_times", "amplitude_values")
        device = site.nest.Create(model)
        self._nodes = Nodes(device, low_level=site.low_level)
        delay_ms = site.delay_ms(source.name, source.delay_ms)
        for target in source.targets:
            if rate:
                assert source.weight_nS is not None
                for population, ids in select_groups(target, site.populations):
                    weight = source.weight_nS * population.weight_per_nS_ex
                    site.connect(device, ids, weight=weight, delay_ms=delay_ms)
                continue
            for population, ids in site.neurons(source.name, target):
                weight = population.current_per_mV if source.unit is Unit.POTENTIAL else 1.0
                site.connect(device, ids, weight=weight, delay_ms=delay_ms)

    def advance(self, t_ms: float) -> None:
        """Hand over the next block where ``t_ms`` has reached the end of the last."""
        if t_ms < self._written_to_ms - 1e-9:
            return
        source, start_ms = self._source, t_ms - self._t0_ms
        samples = round(self._block_ms / source.sample_ms)
        begins_ms = start_ms + source.sample_ms * np.arange(samples, dtype=np.float64)
        values = self._sampled(begins_ms + source.sample_ms / 2)
        first_steps = np.round((self._t0_ms + begins_ms) / self._resolution_ms) + 1
        times_ms = (first_steps * self._resolution_ms).tolist()
        self._nodes.set([dict(zip(self._keys, (times_ms, values.tolist()), strict=True))])
        self._written_to_ms = t_ms + self._block_ms

    def _sampled(self, t_ms: Floats) -> Floats:
        source = self._source
        values = self._value(t_ms / 1e3)
        if not np.isfinite(values).all():
            t_s = float(t_ms[~np.isfinite(values)][0]) / 1e3
            raise ConfigurationError(
                f"source {source.name}: {source.equation!r} has no finite value at t = {t_s:g} s"
            )
        stop_ms = math.inf if source.window.stop_ms is None else source.window.stop_ms
        inside = (t_ms > source.window.start_ms) & (t_ms < stop_ms)
        return np.where(inside, np.minimum(np.maximum(values, source.low), source.high), 0.0)


def _make_noise(site: Site, source: UniformRegionSource, t0_ms: float) -> None:
    delay_ms, noise = site.delay_ms(source.name, source.delay_ms), source.noise
    active = _active(source.window, t0_ms, site.resolution_ms)
    if isinstance(noise, GaussianNoise):
        settings = {"mean": noise.mean, "std": noise.deviation, "dt": noise.hold_ms}
        device = site.nest.Create("noise_generator", params=settings | active)
        for target in source.targets:
            for population, ids in site.neurons(source.name, target):
                weight = population.current_per_mV if noise.unit is Unit.POTENTIAL else 1.0
                site.connect(device, ids, weight=weight, delay_ms=delay_ms)
        return
    device = site.nest.Create("poisson_generator", params={"rate": noise.rate_hz} | active)
    for target in source.targets:
        for population, ids in select_groups(target, site.populations):
            weight = noise.weight_nS * population.weight_per_nS_ex
            site.connect(device, ids, weight=weight, delay_ms=delay_ms)


def _make_rhythm(site: Site, source: GlobalSource, t0_ms: float) -> None:
    """Create one oscillator per region; its phase makes up for the delay of its connections."""
    felt = rhythm_targets(source, site)
    for region in _regions(site, felt):
        early_ms = site.min_delay_ms - t0_ms - source.lag_ms.get(region, 0.0)
        phase_deg = math.degrees(source.phase_rad) + 360.0 * source.frequency_hz * early_ms / 1e3
        settings = {
            "amplitude": source.amplitude,
            "frequency": source.frequency_hz,
            "phase": math.remainder(phase_deg, 360.0),
        }
        device = site.nest.Create(
            "ac_generator", params=settings | _active(source.window, t0_ms, site.resolution_ms)
        )
        for name, ids in felt.items():
            population = site.populations[name]
            if population.region == region:
                weight = population.current_per_mV if source.unit is Unit.POTENTIAL else 1.0
                site.connect(device, ids, weight=weight, delay_ms=site.min_delay_ms)


def _regions(site: Site, names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(site.populations[name].region for name in names))


def _active(window: Window, t0_ms: float, resolution_ms: float) -> dict[str, Any]:
    """Return start and stop of a device on the kernel's grid."""
    ends = {"start": window.start_ms, "stop": window.stop_ms}
    return {
        key: round((t0_ms + time_ms) / resolution_ms) * resolution_ms
        for key, time_ms in ends.items()
        if time_ms is not None
    }
