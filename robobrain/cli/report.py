"""``robobrain report`` and ``robobrain compare``: pages and figures of recorded runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robobrain import recording
from robobrain.cli.console import console


def report(run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")]) -> None:
    """Write RUN/report.html, which needs no other file, and all figures as PNG and SVG."""
    from robobrain.recording.report import write_report  # noqa: PLC0415 - matplotlib is heavy

    console.print(str(write_report(recording.open(run))), highlight=False, soft_wrap=True)


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN ...", help="Two to eight run directories.")],
    out: Annotated[Path, typer.Option(help="Folder for the page, its figures and the table.")] = Path(
        "comparison"
    ),
) -> None:
    """Put runs side by side: measures of the trials and rates, with statistics."""
    from robobrain.recording.compare import compare_runs  # noqa: PLC0415 - matplotlib is heavy

    console.print(
        str(compare_runs([recording.open(run) for run in runs], out)), highlight=False, soft_wrap=True
    )
