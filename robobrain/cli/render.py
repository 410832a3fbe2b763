"""``robobrain render``: a recorded run as a film."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robobrain import recording
from robobrain.cli.console import console, progress_bars


def render(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    out: Annotated[Path | None, typer.Option(help="File .mp4 (default: RUN/video.mp4).")] = None,
    from_s: Annotated[float | None, typer.Option("--from", help="Session time to begin at (s).")] = None,
    to_s: Annotated[float | None, typer.Option("--to", help="Session time to end at (s).")] = None,
    slow: Annotated[float, typer.Option(help="Factor of slow motion: 4 shows a second in four.")] = 1.0,
    fps: Annotated[int, typer.Option(min=1, help="Pictures per second.")] = 30,
    camera: Annotated[str, typer.Option(help="overview, side, top or close.")] = "overview",
) -> None:
    """Write a film of a run: the arm, the raster, and the joystick in its plane, at the same moments."""
    from robobrain.tasks.joystick.video import render_run  # noqa: PLC0415

    with progress_bars() as bar:
        task = bar.add_task("pictures", total=None)
        file = render_run(
            recording.open(run),
            run / "video.mp4" if out is None else out,
            from_s=from_s,
            to_s=to_s,
            slow=slow,
            fps=fps,
            camera=camera,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    console.print(str(file), highlight=False, soft_wrap=True)
