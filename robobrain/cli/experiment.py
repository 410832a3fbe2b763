"""``robobrain experiment``: the same sessions under control conditions, as a table with intervals."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Column, Table

from robobrain.cli.console import build_progress, console, errors

if TYPE_CHECKING:
    from robobrain.tasks.joystick.experiment import Estimate

MEASURES = {
    "rewarded": ("rewarded\n(%)", 100.0, ".0f"),
    "attempted": ("attempted\n(%)", 100.0, ".0f"),
    "peak_pull_mm": ("peak pull\n(mm)", 1.0, ".1f"),
    "deviation_after_mm": ("deviation\n(mm, +left)", 1.0, "+.1f"),
}
"""Columns of the table: heading, factor and format of the numbers."""


def experiment(
    brain: Annotated[str, typer.Option(help="Size, part of all neurons (0.05), or FOLDER[:SIZE].")] = "tiny",
    task: Annotated[str, typer.Option(help="Task: a preset or a YAML file.")] = "quick",
    protocol: Annotated[str, typer.Option(help="Stimulation of M1 at each cue.")] = "pull",
    trials: Annotated[int, typer.Option(min=1, help="Trials of each session.")] = 10,
    sessions: Annotated[int, typer.Option(min=2, help="Sessions of each condition, one seed each.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="First seed; the others follow it.")] = 1,
    lesion: Annotated[
        str, typer.Option(help="Region or population that is destroyed in one condition.")
    ] = "S1",
    condition: Annotated[
        list[str] | None,
        typer.Option(help="intact, lesion, open_loop, shuffled or no_brain; may be repeated (default: all)."),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads (default: the size's own).")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="New directory for the results (default: runs/experiment-BRAIN-seedSEED)."),
    ] = None,
) -> None:
    """Run the same sessions with the brain intact, lesioned, not feeling, shuffled, and without a brain.

    Leaves a run directory per session, sessions.csv, table.csv (means with 95 % intervals, and differences
    from the intact brain under the same seeds) and experiment.png.
    """
    from robobrain.tasks.joystick.experiment import (  # noqa: PLC0415
        CONDITIONS,
        ExperimentPlan,
        Session,
        run_experiment,
    )
    from robobrain.tasks.joystick.experiment_figure import draw_experiment  # noqa: PLC0415

    folder = out or Path("runs") / f"experiment-{Path(brain).name.replace(':', '-')}-seed{seed}"
    plan = ExperimentPlan(
        out=folder,
        brain=brain,
        task=task,
        protocol=protocol,
        trials=trials,
        seeds=tuple(range(seed, seed + sessions)),
        lesion=lesion,
        conditions=tuple(condition or CONDITIONS),
        threads=threads,
        command=(Path(sys.argv[0]).name, *sys.argv[1:]),
    )
    done: list[Session] = []

    def note(session: Session) -> None:
        done.append(session)
        means = session.means
        errors.print(
            f"{session.condition:<10} seed {session.seed:3d}  rewarded {means['rewarded']:4.0%}  "
            f"peak pull {means['peak_pull_mm']:4.1f} mm",
            highlight=False,
        )

    with build_progress(brain) as progress:
        estimates = run_experiment(plan, on_build=progress, on_session=note)
    draw_experiment(done, estimates, folder / "experiment.png")
    table = condition_table(
        estimates, f"brain {brain}: mean [95 % interval] over {sessions} sessions of {trials} trials"
    )
    console.print(table)
    console.print(f"results: {folder}", soft_wrap=True)


def condition_table(estimates: Sequence[Estimate], title: str) -> Table:
    """Return a row per condition; each mean stands over its interval, so that 80 columns hold the table."""
    headings = [heading for heading, *_ in MEASURES.values()]
    columns = [Column(heading, justify="right") for heading in (*headings, "rewarded −\nintact (%)")]
    table = Table("condition", *columns, title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 1, 0))
    for condition in dict.fromkeys(row.condition for row in estimates):
        own = {row.measure: row for row in estimates if row.condition == condition}
        cells = [
            _cell((own[name].mean, own[name].low, own[name].high), factor, form)
            for name, (_, factor, form) in MEASURES.items()
        ]
        apart = own["rewarded"]
        ends = (apart.difference, apart.difference_low, apart.difference_high)
        table.add_row(condition.replace("_", " "), *cells, _cell(ends, 100.0, "+.0f"))
    return table


def _cell(values: tuple[float, float, float], factor: float, form: str) -> str:
    """Return a mean over its interval; a dash where no session has the measure."""
    if math.isnan(values[0]):
        return "–"
    mean, low, high = (format(factor * value, form) for value in values)
    return f"{mean}\n[{low}, {high}]"
