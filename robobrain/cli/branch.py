"""``robobrain branch``: continue one instant of a run under several conditions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robobrain.cli.console import build_progress, console
from robobrain.errors import ConfigurationError


def branch(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    at_ms: Annotated[float, typer.Option("--at", help="The instant, ms of the run's time.")],
    conditions: Annotated[
        list[Path], typer.Option("--with", help="YAML file of a condition; may be repeated.")
    ],
    for_ms: Annotated[float, typer.Option("--for", help="How long the branches last, ms.")] = 500.0,
    out: Annotated[Path | None, typer.Option(help="New directory (default: RUN-at-T beside RUN).")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Brains at work at once (default: cores).")] = None,
) -> None:
    """Continue one recorded instant as recorded and under each condition, and plot the branches together."""
    from robobrain.recording import open as open_run  # noqa: PLC0415 - what is heavy is loaded when needed
    from robobrain.recording.figures.branches import branches as draw  # noqa: PLC0415
    from robobrain.recording.figures.style import styled  # noqa: PLC0415
    from robobrain.tasks.joystick.branches import FIGURE, load_condition  # noqa: PLC0415
    from robobrain.tasks.joystick.branches import branch as continue_run  # noqa: PLC0415

    if not conditions:
        raise ConfigurationError("name at least one condition: --with stimulus.yaml")
    name = run.resolve().name
    folder = run.resolve().parent / f"{name}-at-{at_ms:g}" if out is None else out
    with build_progress(f"branches of {name}") as progress:
        branches = continue_run(
            run,
            [load_condition(file) for file in conditions],
            at_ms=at_ms,
            for_ms=for_ms,
            out=folder,
            jobs=jobs,
            on_build=progress,
        )
    with styled():
        figure = draw(open_run(run), {one.condition.name: open_run(one.path) for one in branches}, at_ms)
        figure.savefig(folder / FIGURE)
    for one in branches:
        pull_mm = one.largest_pull_mm
        console.print(f"{one.condition.name}: largest pull {pull_mm:.1f} mm, {one.path}", soft_wrap=True)
    console.print(f"figure {folder / FIGURE}", soft_wrap=True)
