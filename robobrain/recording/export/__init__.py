"""Exports of a run to the field's formats. Each needs packages of an extra: ``nwb`` or ``analysis``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

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

    What is written gets its name when it is whole, so that nothing half-written is ever found there.

    Raises:
        RecordingError: Unknown format or neurons, a package is missing, the destination exists, also where it
            was made meanwhile, or can't be written; nothing is left behind then.
    """
    if kind not in FORMATS:
        raise RecordingError(f"No format '{kind}'. There are: {', '.join(FORMATS)}.")
    module, function, ending, extra = FORMATS[kind]
    place = run.path.resolve()
    target = place.with_name(place.name + ending) if destination is None else destination
    _refuse_existing(target)
    chosen = choose_neurons(run, neurons)
    try:
        write: Callable[[Run, Path, Neurons], None] = getattr(import_module(module), function)
    except ImportError as error:
        raise RecordingError(
            f"Exporting to {kind} needs {error.name}. Fix: pip install 'robobrain[{extra}]'."
        ) from error
    try:
        with (
            _folders_above(target),
            TemporaryDirectory(dir=target.parent, prefix=".export-", ignore_cleanup_errors=True) as folder,
        ):
            made = Path(folder) / target.name
            write(run, made, chosen)
            _refuse_existing(target)
            if not made.is_dir():
                target.touch(exist_ok=False)  # unlike a file, a folder replaces none but an empty one
            made.replace(target)
    except OSError as error:
        raise RecordingError(f"Can't write {target}: {error}.") from error
    return target


def _refuse_existing(target: Path) -> None:
    if os.path.lexists(target):
        raise RecordingError(f"{target} exists; an export never overwrites. Fix: choose another --out.")


@contextlib.contextmanager
def _folders_above(target: Path) -> Iterator[None]:
    """Make the folders that ``target`` lies in; in the end those of them that are empty are removed."""
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()
