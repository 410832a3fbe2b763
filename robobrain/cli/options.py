"""Options that several commands share: which brain, and what is altered about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robobrain.brain.alterations import Alterations
from robobrain.brain.devices import NO_DEVICES, Devices, joined
from robobrain.brain.sizes import with_family
from robobrain.errors import ConfigurationError

Size = Annotated[
    str,
    typer.Argument(help="Size (tiny, small, medium, full), part of all neurons (0.05), or FOLDER[:SIZE]."),
]
Folder = Annotated[Path | None, typer.Option("--brain", help="Folder with tables of your own.")]
Scale = Annotated[float | None, typer.Option(help="Part of all neurons, instead of a named size.")]
Family = Annotated[
    str | None,
    typer.Option("--family", help="Neurons: current (linearised; the default) or conductance (published)."),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of the kernel (default: the size's own).")]
Seed = Annotated[int | None, typer.Option(help="Seed of the network (default: the tables' own).")]
Lesion = Annotated[
    list[str] | None, typer.Option("--lesion", help="Destroy a region or population. Can be repeated.")
]
Silence = Annotated[
    list[str] | None, typer.Option("--silence", help="Keep a region or population from firing.")
]
Disconnect = Annotated[
    list[str] | None, typer.Option("--disconnect", help="PRE:POST, build no synapse from PRE to POST.")
]
DeviceFile = Annotated[
    Path | None,
    typer.Option(
        "--devices", help="YAML file of sources and monitors beside the wiring; monitors are recorded."
    ),
]
RecordVoltage = Annotated[
    list[str] | None,
    typer.Option(
        "--record-voltage", help="POPULATION:COUNT, record membrane potentials of so many. Can be repeated."
    ),
]
Shuffle = Annotated[bool, typer.Option("--shuffle", help="Permute sources: degrees stay, topography goes.")]


def alterations(
    lesion: list[str] | None, silence: list[str] | None, disconnect: list[str] | None, shuffle: bool
) -> Alterations:
    """Return what the options of a command ask for."""
    return Alterations(
        lesion=tuple(lesion or ()),
        silence=tuple(silence or ()),
        disconnect=tuple(disconnect or ()),
        shuffle=shuffle,
    )


def chosen_devices(file: Path | None, voltages: list[str] | None) -> Devices:
    """Return the devices that the options of a command ask for.

    Raises:
        ConfigurationError: The file or an option can't be used; names the entry.
    """
    from robobrain.brain.histories import parse_voltages  # noqa: PLC0415
    from robobrain.brain.interfaces import load_devices  # noqa: PLC0415

    devices = NO_DEVICES if file is None else load_devices(file)
    if not voltages:
        return devices
    chosen = Devices(voltages=tuple(map(parse_voltages, voltages)), history_ms=devices.history_ms)
    return joined(devices, chosen)


def brain_name(size: str, folder: Path | None, scale: float | None, family: str | None = None) -> str:
    """Return the brain that the options of a command name, as one word."""
    if scale is not None:
        size = f"{scale!r}"
    if family is not None:
        size = with_family(size, family)
    if folder is None:
        return size
    if not folder.is_dir():
        raise ConfigurationError(f"There is no folder {folder}; `robobrain brain new {folder}` makes one.")
    return f"{folder}:{size}"
