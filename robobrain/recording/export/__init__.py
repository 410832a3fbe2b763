"""Exports of a run to the field's formats. Each needs packages of an extra: ``nwb`` or ``analysis``."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from robobrain.errors import RecordingError
from robobrain.recording.export.neurons import Neurons, choose_neurons
from robobrain.recording.reader import Run

__all__ = ["FORMATS", "Neurons", "choose_neurons", "export"]

FORMATS = {
    "nwb": ("robobrain.recording.export.nwb", "write_nwb", ".nwb", "nwb"),
    "neo": ("robobrain.recording.export.neo", "write_neo", ".nix", "analysis"),
    "parquet": ("robobrain.recording.export.parquet", "write_parquet", "-parquet", "analysis"),
    "sonata": ("robobrain.recording.export.sonata", "write_sonata", "-spikes.h5", "analysis"),
}
"""Module, function, ending of the default name, and extra of each format."""


def export(run: Run, kind: str, destination: Path | None = None, neurons: str = "all") -> Path:
    """Write a run in another format and return the file, or folder of files.

    Args:
        run: The run; best one that has ended.
        kind: A name of `FORMATS`.
        destination: What to write, new; by default beside the run, named after it.
        neurons: Whose spikes: "all", "none", a number of neurons per population, or names of populations
            and regions, separated by commas.

    Raises:
        RecordingError: Unknown format or neurons, a package is missing, the destination exists, or can't be
            written; nothing is left behind then.
    """
    if kind not in FORMATS:
        raise RecordingError(f"No format '{kind}'. There are: {', '.join(FORMATS)}.")
    module, function, ending, extra = FORMATS[kind]
    place = run.path.resolve()
    target = place.with_name(place.name + ending) if destination is None else destination
    if target.exists():
        raise RecordingError(f"{target} exists; an export never overwrites. Fix: choose another --out.")
    chosen = choose_neurons(run, neurons)
    try:
        write: Callable[[Run, Path, Neurons], None] = getattr(import_module(module), function)
    except ImportError as error:
        raise RecordingError(
            f"Exporting to {kind} needs {error.name}. Fix: pip install 'robobrain[{extra}]'."
        ) from error
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(run, target, chosen)
    except BaseException as error:
        _remove(target)
        if isinstance(error, OSError):
            raise RecordingError(f"Can't write {target}: {error}.") from error
        raise
    return target


def _remove(target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    else:
        with contextlib.suppress(OSError):
            target.unlink()
