"""``robobrain export``: a run in the formats of the field's tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robobrain import recording
from robobrain.cli.console import console


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    kind: Annotated[str, typer.Option("--format", help="nwb, neo, parquet or sonata.")] = "nwb",
    out: Annotated[Path | None, typer.Option(help="New file or folder (default: beside RUN).")] = None,
    neurons: Annotated[
        str,
        typer.Option(
            help="Whose spikes: all, none, a number per population, or populations and regions (a,b,...)."
        ),
    ] = "all",
) -> None:
    """Write a run as NWB, Neo (NIX), Parquet tables or SONATA spikes."""
    from robobrain.recording.export import export as write  # noqa: PLC0415

    console.print(str(write(recording.open(run), kind, out, neurons)), highlight=False, soft_wrap=True)
