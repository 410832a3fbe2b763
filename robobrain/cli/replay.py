"""``robobrain replay``: repeat a recorded run and compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robobrain.cli.console import build_progress, console, progress_bars
from robobrain.tasks.joystick.loop import Frame


def replay(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    threads: Annotated[
        int | None, typer.Option(min=1, help="Another number of threads, to see what it changes.")
    ] = None,
) -> None:
    """Rebuild a run's brain and repeat the run; exit 0 only if all is equal, bit for bit."""
    from robobrain.tasks.joystick.replay import replay as repeat  # noqa: PLC0415

    with build_progress("replay") as building, progress_bars() as bar:
        task = bar.add_task("exchanges", total=None)

        def show(frame: Frame, exchanges: int) -> None:
            bar.update(task, completed=frame.seq, total=exchanges)

        exchanges = repeat(run, on_build=building, on_frame=show, threads=threads)
    console.print(f"{run}: {exchanges} exchanges repeated, all bit for bit equal", soft_wrap=True)
