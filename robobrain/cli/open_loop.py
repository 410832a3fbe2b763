"""``robobrain brain run``: an open-loop experiment, recorded."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from robobrain.cli import INTERRUPTED
from robobrain.cli.console import build_progress, console


def run(
    protocol: Annotated[
        str, typer.Argument(help="YAML file of a protocol, or rest_theta, tuning_m1, passive_s1.")
    ],
    brain: Annotated[str | None, typer.Option(help="Size of the brain (default: the protocol's).")] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(min=0, help="Seed of an episode; repeat for more (default: the protocol's)."),
    ] = None,
    duration_ms: Annotated[
        float | None,
        typer.Option(help="Length of each episode, at most a day (default: the protocol's)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run directory, new (default: runs/BRAIN-PROTOCOL-TIME).")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads (default: the size's own).")] = None,
) -> None:
    """Play a protocol on a brain without a body: sources over time, lesions, recordings, figures."""
    from robobrain.tasks.openloop import OpenLoopPlan, load_protocol, run_open_loop  # noqa: PLC0415

    played = load_protocol(protocol)
    if brain is not None:
        played = replace(played, brain=brain)
    if seed:
        played = replace(played, seeds=tuple(seed))
    if duration_ms is not None:
        played = replace(played, duration_ms=duration_ms)
    name = Path(protocol).stem
    if out is None:
        out = Path("runs") / f"{played.brain}-{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    command = [Path(sys.argv[0]).name, *sys.argv[1:]]
    plan = OpenLoopPlan(protocol=played, out=out, name=name, threads=threads, command=command)
    with build_progress(played.brain) as show:
        result = run_open_loop(
            plan, on_build=show, on_progress=lambda done_ms, whole_ms: show(name, done_ms / whole_ms)
        )
    table = Table(show_header=False, box=None)
    table.add_row("status", result.status)
    table.add_row("speed", f"{result.model_ms / 1e3:.2f} s of model time in {result.wall_ms / 1e3:.2f} s")
    table.add_row("data", str(out))
    table.add_row("figures", ", ".join(str(file.relative_to(out)) for file in result.files))
    console.print(table)
    if result.status == "interrupted":
        raise typer.Exit(INTERRUPTED)
