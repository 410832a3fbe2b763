"""Figures of a run, as a paper would print them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from matplotlib.figure import Figure

from robobrain.errors import RecordingError
from robobrain.recording.figures.adaptation import adaptation
from robobrain.recording.figures.blocks import blocks
from robobrain.recording.figures.fields import field_streams, fields
from robobrain.recording.figures.muscles import muscles
from robobrain.recording.figures.onset import onset
from robobrain.recording.figures.paths import paths
from robobrain.recording.figures.raster import raster
from robobrain.recording.figures.rates import rates
from robobrain.recording.figures.responses import responses
from robobrain.recording.figures.session import session
from robobrain.recording.figures.spectrum import spectrum
from robobrain.recording.figures.style import styled
from robobrain.recording.figures.timing import timing
from robobrain.recording.reader import Run

FIGURES: dict[str, Callable[[Run], Figure]] = {
    "session": session,
    "raster": raster,
    "rates": rates,
    "muscles": muscles,
    "paths": paths,
    "blocks": blocks,
    "adaptation": adaptation,
    "onset": onset,
    "spectrum": spectrum,
    "timing": timing,
    "fields": fields,
    "responses": responses,
}
"""Every figure by the name of its file."""

DEFAULT = tuple(name for name in FIGURES if name not in ("fields", "responses"))
"""The figures of a closed loop; ``fields`` come with them where fields or potentials were recorded, and
``responses`` are of a brain alone."""

__all__ = [
    "DEFAULT",
    "FIGURES",
    "adaptation",
    "blocks",
    "field_streams",
    "fields",
    "muscles",
    "onset",
    "paths",
    "raster",
    "rates",
    "responses",
    "session",
    "spectrum",
    "styled",
    "timing",
    "write",
]


def write(run: Run, names: Iterable[str] | None = None, formats: Iterable[str] = ("png",)) -> list[Path]:
    """Draw figures into the run's ``figures`` directory and return their files.

    Args:
        run: The run, also one that is still being written or was interrupted.
        names: Which of `FIGURES`; None for those of a closed loop, with ``fields`` where there are any.
        formats: File formats: "png", "svg", "pdf".

    Raises:
        RecordingError: For an unknown name, or if the directory can't be written.
    """
    chosen = [*DEFAULT, *(["fields"] if field_streams(run) else [])] if names is None else list(names)
    unknown = [name for name in chosen if name not in FIGURES]
    if unknown:
        raise RecordingError(f"No figure {', '.join(unknown)}. There are: {', '.join(FIGURES)}.")
    files = []
    for name in chosen:
        # The style also holds while the file is written: fonts and resolution are looked up only then.
        with styled():
            figure = FIGURES[name](run)
            for kind in formats:
                files.append(_save(figure, run.figures_path / f"{name}.{kind}"))
    return files


def _save(figure: Figure, file: Path) -> Path:
    try:
        file.parent.mkdir(exist_ok=True)
        figure.savefig(file)
    except OSError as error:
        raise RecordingError(f"Can't write the figure {file}: {error}.") from error
    return file
