"""``robobrain experiment``: the same sessions under control conditions, as a table with intervals."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from robobrain.cli.console import build_progress, console, errors


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
    table = Table(title=f"brain {brain}: mean [95 % interval] over {sessions} sessions of {trials} trials")
    shown = ("rewarded", "attempted", "peak_pull_mm", "deviation_after_mm")
    for heading in ("condition", *shown, "rewarded, less intact"):
        table.add_column(heading)
    for name in plan.conditions:
        own = {row.measure: row for row in estimates if row.condition == name}
        apart = own["rewarded"]
        table.add_row(
            name,
            *(
                f"{row.mean:.2f} [{row.low:.2f}, {row.high:.2f}]"
                for row in (own[measure] for measure in shown)
            ),
            f"{apart.difference:+.2f} [{apart.difference_low:+.2f}, {apart.difference_high:+.2f}]",
        )
    console.print(table)
    console.print(f"results: {folder}", soft_wrap=True)
