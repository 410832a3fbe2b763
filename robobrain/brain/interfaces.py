"""The wiring between a brain and its outside: YAML files, checked and turned into declarations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from robobrain.brain.devices import SECTIONS, Devices, problems, validated
from robobrain.brain.entries import InputEntry, OutputEntry, Provenance
from robobrain.brain.histories import FieldOutputMonitor, VoltageMonitor
from robobrain.brain.monitors import DirectOutputMonitor
from robobrain.brain.selectors import Selector, check_names
from robobrain.brain.signals import DirectEquationSource, GlobalSource, Silence, UniformRegionSource
from robobrain.brain.sources import DirectInputSource
from robobrain.errors import ConfigurationError, TableError
from robobrain.yaml_files import read_yaml


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_S = TypeVar("_S", bound=_Named)

_DECLARATIONS: dict[str, type[Any]] = {
    "equations": DirectEquationSource,
    "noises": UniformRegionSource,
    "rhythms": GlobalSource,
    "fields": FieldOutputMonitor,
    "voltages": VoltageMonitor,
    "silenced": Silence,
}
"""Sections whose entries have the fields of a declaration."""

_END_MS = 1e9
"""Times in a file are below it: twelve days (*assumed*)."""


@dataclass(frozen=True, kw_only=True)
class Interfaces:
    """The sources and monitors of a brain, in the order of the packed arrays."""

    sources: tuple[DirectInputSource, ...]
    monitors: tuple[DirectOutputMonitor, ...]


def load_interfaces(path: Path | None = None, regions: Mapping[str, str] | None = None) -> Interfaces:
    """Return the wiring of a YAML file: its sections ``inputs`` and ``outputs``.

    Args:
        path: The file; None means the default wiring of the forelimb loop.
        regions: Region of each population of the brain, by the population's name. If given, every name in the
            file must exist; otherwise that is found out when the devices are built.

    Raises:
        TableError: The file can't be read or an entry is invalid; names file, entry and fix.
    """
    file, document = read_document(path)
    if not {"inputs", "outputs"} <= set(document):
        raise TableError(
            file, "1", "not a mapping with inputs and outputs", "give both lists, [] where there are none"
        )
    devices = parse_devices(file, document)
    if regions is not None:
        for source in devices.inputs:
            selectors = [target.selector for target in source.targets]
            _check_names(file, f"inputs/{source.name}", selectors, regions)
        for monitor in devices.outputs:
            selectors = [selector for pool in monitor.channels.values() for selector in pool]
            _check_names(file, f"outputs/{monitor.name}", selectors, regions)
    return Interfaces(sources=devices.inputs, monitors=devices.outputs)


def load_devices(path: Path | None) -> Devices:
    """Return all sources and monitors of a YAML file; None means the default wiring of the forelimb loop.

    Raises:
        TableError: The file can't be read or an entry is invalid; names file, entry and fix.
    """
    file, document = read_document(path)
    return parse_devices(file, document)


def read_document(path: Path | None) -> tuple[str, dict[str, Any]]:
    """Return name and content of a YAML file of sources and monitors; None means the default wiring."""
    resource = files("robobrain.brain") / "data" / "interfaces.yaml" if path is None else path
    return resource.name, read_yaml(resource)


def parse_devices(file: str, document: Mapping[str, Any]) -> Devices:
    """Return the devices of a mapping of sections, as it stands in a YAML file.

    Raises:
        TableError: An entry is invalid; names file, entry and fix.
    """
    if unknown := set(document) - {*SECTIONS, "history_ms"}:
        names = ", ".join(map(str, unknown))
        raise TableError(
            file, "1", f"no section {names}; there are {', '.join(SECTIONS)}", "give these and nothing else"
        )
    sections: dict[str, Any] = {}
    for section, raw in document.items():
        if section == "inputs":
            sections[section] = _load_list(file, section, raw, _input)
        elif section == "outputs":
            sections[section] = _load_list(file, section, raw, _output)
        elif section in _DECLARATIONS:
            sections[section] = _load_list(file, section, raw, partial(_declared, _DECLARATIONS[section]))
        elif isinstance(raw, int | float) and not isinstance(raw, bool) and abs(raw) < _END_MS:
            sections[section] = float(raw)
        else:
            raise TableError(file, section, f"{str(raw)[:80]!r} is no number of ms", "give one below 1e9")
    try:
        return Devices(**sections)
    except ConfigurationError as error:
        raise TableError(file, "1", str(error), "correct the file") from error


def _input(item: object) -> DirectInputSource:
    return InputEntry.model_validate(item).source()


def _output(item: object) -> DirectOutputMonitor:
    return OutputEntry.model_validate(item).monitor()


def _declared(kind: type[Any], item: object) -> Any:
    """Return an entry as its declaration; where numbers come from is written as in the other sections."""
    if isinstance(item, dict) and isinstance(item.get("provenance"), dict):
        item = item | {"provenance": Provenance.model_validate(item["provenance"]).text()}
    return validated(kind, item)


def _load_list(file: str, section: str, raw: object, make: Callable[[object], _S]) -> tuple[_S, ...]:
    if not isinstance(raw, list):
        raise TableError(file, section, "not a list", f"give a list of entries under {section}")
    specs: dict[str, _S] = {}
    for position, item in enumerate(raw):
        name = item.get("name", position) if isinstance(item, dict) else position
        entry = f"{section}/{name}"
        try:
            made = make(item)
        except ValidationError as error:
            raise TableError(file, entry, problems(error), "correct the named fields") from error
        except ConfigurationError as error:
            raise TableError(file, entry, str(error), "correct the entry") from error
        if made.name in specs:
            raise TableError(file, entry, "this name is used twice", "rename one of the two")
        specs[made.name] = made
    return tuple(specs.values())


def _check_names(file: str, entry: str, selectors: list[Selector], regions: Mapping[str, str]) -> None:
    try:
        check_names(iter(selectors), regions)
    except ConfigurationError as error:
        raise TableError(file, entry, str(error), "use one of these names") from error
