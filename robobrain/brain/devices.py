"""Devices that a brain gets beside its wiring, declared as one set and sent as text."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from robobrain.brain.declared import Declared
from robobrain.brain.histories import FieldOutputMonitor, VoltageMonitor
from robobrain.brain.monitors import DirectOutputMonitor, SpikeTimesDecoder
from robobrain.brain.signals import DirectEquationSource, GlobalSource, Silence, UniformRegionSource
from robobrain.brain.sources import DirectInputSource
from robobrain.errors import ConfigurationError

LONGEST_NAME = 128
"""Bytes of a device's name in UTF-8, which becomes that of a stream and of files (*assumed*: of the 255 that
most file systems take, as many are left for what is put before and after it)."""


class _Named(Protocol):
    @property
    def name(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Devices(Declared):
    """Sources, monitors and silenced neurons of an episode.

    Attributes:
        inputs: Sources of values from outside; their ports follow those of the brain's wiring.
        equations: Sources of an equation in time.
        noises: Sources of noise.
        rhythms: Sources of a rhythm that all neurons feel.
        outputs: Monitors of spikes; their ports follow those of the brain's wiring.
        fields: Monitors of summed signals.
        voltages: Monitors of membrane potentials.
        silenced: Neurons that never spike.
        history_ms: Model time between two deliveries of histories (fields, voltages, spike times). Clearing
            NEST's recorders costs 0.8 ms at 10,000 neurons, so that every exchange is possible but dear.
    """

    inputs: tuple[DirectInputSource, ...] = ()
    equations: tuple[DirectEquationSource, ...] = ()
    noises: tuple[UniformRegionSource, ...] = ()
    rhythms: tuple[GlobalSource, ...] = ()
    outputs: tuple[DirectOutputMonitor, ...] = ()
    fields: tuple[FieldOutputMonitor, ...] = ()
    voltages: tuple[VoltageMonitor, ...] = ()
    silenced: tuple[Silence, ...] = ()
    history_ms: float = 200.0

    def __post_init__(self) -> None:
        sources: tuple[_Named, ...] = (*self.inputs, *self.equations, *self.noises, *self.rhythms)
        sorts: tuple[tuple[_Named, ...], ...] = (sources, self.monitors, self.silenced)
        for names in (Counter(device.name for device in sort) for sort in sorts):
            for name in names:
                _check_name(name)
            if twice := sorted(name for name, number in names.items() if number > 1):
                raise ConfigurationError(f"names are used twice: {', '.join(twice)}; rename one of the two")
        if not 0 < self.history_ms < float("inf"):
            raise ConfigurationError(f"history_ms = {self.history_ms} must be positive and finite")

    @property
    def empty(self) -> bool:
        """Whether there is no device at all."""
        return not any(getattr(self, section) for section in SECTIONS)

    @property
    def monitors(self) -> tuple[DirectOutputMonitor | FieldOutputMonitor | VoltageMonitor, ...]:
        """All monitors, those of spikes first."""
        return (*self.outputs, *self.fields, *self.voltages)

    @property
    def spike_times(self) -> tuple[DirectOutputMonitor, ...]:
        """The output monitors that hand out spike times."""
        return tuple(monitor for monitor in self.outputs if isinstance(monitor.decoder, SpikeTimesDecoder))


def _check_name(name: str) -> None:
    if not name.isprintable() or set(name) & set("/:"):
        raise ConfigurationError(f"the name {name[:40]!r} must have printable characters, without / and :")
    if (size := len(name.encode())) > LONGEST_NAME:
        raise ConfigurationError(
            f"the name {name[:40]!r} has {size} bytes in UTF-8 and must have at most {LONGEST_NAME}; "
            "shorten it"
        )


SECTIONS = tuple(field.name for field in dataclasses.fields(Devices) if field.name != "history_ms")
NO_DEVICES = Devices()


def joined(first: Devices, second: Devices) -> Devices:
    """Return the devices of both; the second's ``history_ms`` holds where it has any device.

    Raises:
        ConfigurationError: A name is used twice.
    """
    history_ms = first.history_ms if second.empty else second.history_ms
    both = {section: (*getattr(first, section), *getattr(second, section)) for section in SECTIONS}
    return Devices(**both, history_ms=history_ms)


def beside_the_panel(devices: Devices) -> Devices:
    """Return what of a wiring is made anew for each episode: all but its ports."""
    return dataclasses.replace(devices, inputs=(), outputs=devices.spike_times)


@cache
def _adapter() -> TypeAdapter[Devices]:
    return TypeAdapter(Devices)


def to_text(devices: Devices) -> str:
    """Return the devices as JSON: exact, and nothing but data."""
    return _adapter().dump_json(devices).decode()


def from_text(text: str) -> Devices:
    """Return the devices in a text of `to_text`; an empty text stands for none.

    Raises:
        ConfigurationError: The text can't be used; names the entry.
    """
    if not text:
        return NO_DEVICES
    try:
        return _adapter().validate_json(text, strict=True)
    except ValidationError as error:
        raise ConfigurationError(f"devices: {problems(error)}") from error


def validated(kind: type[Any], entry: object) -> Any:
    """Return ``entry``, plain data as from YAML, as a declaration of ``kind``.

    Raises:
        ConfigurationError: It can't be used; names the fields.
    """
    try:
        return TypeAdapter(kind).validate_json(json.dumps(entry), strict=True)
    except ValidationError as error:
        raise ConfigurationError(problems(error)) from error
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"not plain data: {error}") from error


def problems(error: ValidationError) -> str:
    """Return what is wrong as one line: place, problem and value."""
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'entry'}: {problem['msg']} "
        f"(got {repr(problem['input'])[:100]})"
        for problem in error.errors()
    )
