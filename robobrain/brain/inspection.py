"""Devices checked against a brain, and what each of them will cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import numpy as np

from robobrain.brain.devices import Devices
from robobrain.brain.histories import FieldSignal
from robobrain.brain.inputs import check_spikes
from robobrain.brain.monitors import DirectOutputMonitor
from robobrain.brain.nodes import is_multiple
from robobrain.brain.selectors import NodeIds, Selector, select, select_groups
from robobrain.brain.signals import (
    DirectEquationSource,
    GaussianNoise,
    GlobalSource,
    PoissonNoise,
    UniformRegionSource,
    Unit,
)
from robobrain.brain.site import Site
from robobrain.brain.sources import CurrentEncoder, DirectInputSource, RateEncoder, TuningEncoder
from robobrain.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class DeviceRow:
    """One device as it is listed.

    Attributes:
        kind: What it is, e.g. ``equation``.
        name: Its name.
        unit: Unit of its values.
        values: Number of values, columns or channels.
        neurons: Neurons that it reaches or reads.
        cost_us: Estimated time that it adds to an exchange.
    """

    kind: str
    name: str
    unit: str
    values: int
    neurons: int
    cost_us: float


# Measured at `small` on one thread, in microseconds; see docs/devices.md. Writing and reading are those of
# NEST's own generators and neurons; packed ones take less, so that estimates are on the safe side.
_STEP_US = 0.03  # a generator at one target for one time step
_WRITE_US = 1.5  # one value written to one generator
_COUNTER_US = 5.0  # one channel read; two or three share a counting neuron
_SAMPLE_US = 0.1  # one quantity of one neuron recorded once and read
_BLOCK_US = 0.4  # one sample of an equation computed and written


LARGEST_RATE_HZ = 1e6
"""Largest rate of a Poisson train (*assumed*: 500 spikes in a time step; NEST never ends drawing 1e300)."""
LONGEST_PERIOD_MS = 86_400_000.0
"""Longest time between two samples or draws, a day (*assumed*)."""


def inspect(devices: Devices, site: Site) -> list[DeviceRow]:
    """Check every device against a brain and return what each will cost.

    Raises:
        ConfigurationError: A name, size, delay or interval does not fit this brain; names the device.
    """
    return list(
        chain(
            (_input_row(source, site) for source in devices.inputs),
            (_equation_row(source, site) for source in devices.equations),
            (_noise_row(source, site) for source in devices.noises),
            (_rhythm_row(source, site) for source in devices.rhythms),
            (_output_row(monitor, site) for monitor in devices.outputs),
            _history_rows(devices, site),
            (
                DeviceRow(
                    kind="silence",
                    name=silence.name,
                    unit="-",
                    values=0,
                    neurons=len(membranes(silence.name, silence.targets, site)),
                    cost_us=0.0,
                )
                for silence in devices.silenced
            ),
        )
    )


def membranes(name: str, targets: Sequence[Selector], site: Site) -> NodeIds:
    """Return the neurons of all selectors that have a membrane, each once, ascending."""
    return np.unique(np.concatenate([ids for target in targets for _, ids in site.neurons(name, target)]))


def _input_row(source: DirectInputSource, site: Site) -> DeviceRow:
    with _naming(f"input {source.name}"):
        site.delay_ms(source.name, source.delay_ms)
        check_spikes(site, source)
        for target in source.targets:
            match source.encoder:
                case RateEncoder(max_hz=max_hz):
                    _check_rate(max_hz)
                case TuningEncoder(peak_hz=peak_hz, baseline_hz=baseline_hz):
                    _check_rate(baseline_hz + abs(target.gain) * peak_hz)
        if isinstance(source.encoder, CurrentEncoder):
            groups = [ids for t in source.targets for _, ids in site.neurons(source.name, t.selector)]
        else:
            groups = [ids for t in source.targets for _, ids in select_groups(t.selector, site.populations)]
    neurons = sum(map(len, groups))
    cost_us = _STEP_US * neurons * site.steps + _WRITE_US * len(source.targets)
    return DeviceRow(
        kind="input",
        name=source.name,
        unit=source.unit,
        values=len(source.channels),
        neurons=neurons,
        cost_us=cost_us,
    )


def _equation_row(source: DirectEquationSource, site: Site) -> DeviceRow:
    with _naming(f"equation {source.name}"):
        site.delay_ms(source.name, source.delay_ms)
        if not is_multiple(source.sample_ms, site.resolution_ms) or not is_multiple(
            site.exchange_ms, source.sample_ms
        ):
            raise ConfigurationError(
                f"sample_ms = {source.sample_ms:g} must be a multiple of the resolution "
                f"{site.resolution_ms:g} ms and divide the exchange of {site.exchange_ms:g} ms"
            )
        if source.unit is Unit.RATE:
            _check_rate(source.high)
            neurons = sum(len(select(target, site.populations)) for target in source.targets)
        else:
            neurons = _membrane_count(source, site)
    samples = site.exchange_ms / source.sample_ms
    return DeviceRow(
        kind="equation",
        name=source.name,
        unit=source.unit,
        values=1,
        neurons=neurons,
        cost_us=_STEP_US * neurons * site.steps + _BLOCK_US * samples,
    )


def _noise_row(source: UniformRegionSource, site: Site) -> DeviceRow:
    with _naming(f"noise {source.name}"):
        site.delay_ms(source.name, source.delay_ms)
        match source.noise:
            case GaussianNoise(unit=unit, hold_ms=hold_ms):
                _check_period("hold_ms", hold_ms, site)
                neurons = _membrane_count(source, site)
            case PoissonNoise(rate_hz=rate_hz):
                _check_rate(rate_hz)
                unit = Unit.RATE
                neurons = sum(len(select(target, site.populations)) for target in source.targets)
    return DeviceRow(
        kind="noise",
        name=source.name,
        unit=unit,
        values=1,
        neurons=neurons,
        cost_us=_STEP_US * neurons * site.steps,
    )


def _membrane_count(source: DirectEquationSource | UniformRegionSource, site: Site) -> int:
    return sum(len(ids) for target in source.targets for _, ids in site.neurons(source.name, target))


def _rhythm_row(source: GlobalSource, site: Site) -> DeviceRow:
    with _naming(f"rhythm {source.name}"):
        neurons = sum(len(ids) for ids in rhythm_targets(source, site).values())
    return DeviceRow(
        kind="rhythm",
        name=source.name,
        unit=source.unit,
        values=1,
        neurons=neurons,
        cost_us=_STEP_US * neurons * site.steps,
    )


def rhythm_targets(source: GlobalSource, site: Site) -> dict[str, NodeIds]:
    """Return the neurons that feel a rhythm, by population.

    Raises:
        ConfigurationError: A region does not exist.
    """
    known = dict.fromkeys(population.region for population in site.populations.values())
    for region in (*source.lag_ms, *(source.regions or ())):
        if region not in known:
            raise ConfigurationError(f"no region {region!r}; this brain has {', '.join(known)}")
    felt = {
        population.name: population.first_id + np.arange(population.size)
        for population in site.populations.values()
        if not population.relay and (source.regions is None or population.region in source.regions)
    }
    if not felt:
        raise ConfigurationError("no neuron with a membrane is left to feel it")
    return felt


def _output_row(monitor: DirectOutputMonitor, site: Site) -> DeviceRow:
    with _naming(f"output {monitor.name}"):
        neurons = sum(len(select(s, site.populations)) for pool in monitor.channels.values() for s in pool)
    counters = len(monitor.channels) if monitor.values else 0
    return DeviceRow(
        kind="output",
        name=monitor.name,
        unit=monitor.unit,
        values=len(monitor.values) or 1,
        neurons=neurons,
        cost_us=_COUNTER_US * counters,
    )


def _history_rows(devices: Devices, site: Site) -> Iterator[DeviceRow]:
    for field in devices.fields:
        with _naming(f"field {field.name}"):
            _check_period("interval_ms", field.interval_ms, site)
            neurons = sum(len(membranes(field.name, pool, site)) for pool in field.groups.values())
        quantities = 1 if field.signal is FieldSignal.POTENTIAL else 2
        samples = neurons * quantities * site.exchange_ms / field.interval_ms
        yield DeviceRow(
            kind="field",
            name=field.name,
            unit=field.signal.unit,
            values=len(field.groups),
            neurons=neurons,
            cost_us=_SAMPLE_US * samples,
        )
    for voltage in devices.voltages:
        with _naming(f"voltage {voltage.name}"):
            _check_period("interval_ms", voltage.interval_ms, site)
            neurons = len(membranes(voltage.name, voltage.targets, site))
        yield DeviceRow(
            kind="voltage",
            name=voltage.name,
            unit="mV",
            values=neurons,
            neurons=neurons,
            cost_us=_SAMPLE_US * neurons * site.exchange_ms / voltage.interval_ms,
        )


def _check_period(name: str, period_ms: float, site: Site) -> None:
    if not is_multiple(period_ms, site.resolution_ms) or period_ms > LONGEST_PERIOD_MS:
        raise ConfigurationError(
            f"{name} = {period_ms:g} must be a multiple of the resolution {site.resolution_ms:g} ms and at "
            "most a day"
        )


def _check_rate(rate_hz: float) -> None:
    if rate_hz > LARGEST_RATE_HZ:
        raise ConfigurationError(f"a rate of {rate_hz:g} Hz; give at most {LARGEST_RATE_HZ:g} Hz")


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Put the device's name in front of what is wrong with it."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{what}: {error}") from error
