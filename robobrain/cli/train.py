"""``robobrain train``: policies that pull, and stimulation patterns that move the limb."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from robobrain.cli.console import build_progress, console, print_fault

app = typer.Typer(
    no_args_is_help=True, help="Learn: a policy for muscles or motors, or a stimulation of the brain."
)


@app.command()
def policy(
    env: Annotated[str, typer.Option(help="muscle or torque: what the policy moves.")] = "muscle",
    task: Annotated[str, typer.Option(help="Task: a preset or a YAML file.")] = "quick",
    seed: Annotated[int, typer.Option(min=0, help="Root of all random draws.")] = 1,
    steps: Annotated[int, typer.Option(min=20_000, help="Longest training, in steps.")] = 400_000,
    goal: Annotated[float, typer.Option(help="Fraction of rewarded trials that is enough.")] = 0.95,
    out: Annotated[
        Path | None, typer.Option(help="New directory for the results (default: runs/train-ENV-seedSEED).")
    ] = None,
) -> None:
    """Train a policy by PPO until it is rewarded; leave policy.npz, curve.csv and curve.png."""
    from robobrain.tasks.joystick.learning_curve import draw_curves  # noqa: PLC0415
    from robobrain.tasks.joystick.training import (  # noqa: PLC0415
        Evaluation,
        TrainingPlan,
        train,
        write_curve,
    )

    plan = TrainingPlan(env_id=env_of(env), task=task, seed=seed, steps=steps, goal=goal)
    folder = _new_folder(out or Path("runs") / f"train-{env}-seed{seed}")

    def show(point: Evaluation) -> None:
        console.print(
            f"{point.steps:>8,} steps  {point.wall_s:6.0f} s  rewarded {point.rewarded:4.0%}", highlight=False
        )

    result = train(plan, on_evaluation=show)
    result.policy.save(folder / "policy.npz")
    write_curve(folder / "curve.csv", result.curve)
    draw_curves({f"seed {seed}": result.curve}, folder / "curve.png")
    console.print(f"policy and learning curve: {folder}")
    if result.curve[-1].rewarded < goal:
        print_fault(f"The goal of {goal:.0%} rewarded trials was not reached.")
        raise typer.Exit(1)


@app.command()
def stimulation(
    brain: Annotated[str, typer.Option(help="Size of the brain.")] = "tiny",
    direction: Annotated[
        list[str] | None, typer.Option(help="pull, push, left or right; may be repeated (default: all).")
    ] = None,
    generations: Annotated[int, typer.Option(min=1, help="Rounds of CMA-ES.")] = 12,
    population: Annotated[int, typer.Option(min=4, help="Patterns per round.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Root of all random draws.")] = 1,
    threads: Annotated[int | None, typer.Option(help="Threads (default: the size's own).")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="New directory for the results (default: runs/stimulation-BRAIN-seedSEED)."),
    ] = None,
) -> None:
    """Find patterns of M1 stimulation that move the joystick one way, by CMA-ES; leave patterns.json."""
    from robobrain.tasks.joystick.stimulation import DIRECTIONS, SearchPlan, search_all  # noqa: PLC0415

    plans = [
        SearchPlan(direction=name, generations=generations, population=population, seed=seed)
        for name in direction or DIRECTIONS
    ]
    folder = _new_folder(out or Path("runs") / f"stimulation-{brain}-seed{seed}")

    def show(name: str, number: int, best: float) -> None:
        console.print(f"{name:<6} round {number:3d}  best score {best:5.2f}", highlight=False)

    with build_progress(brain) as progress:
        found = search_all(brain, plans, threads=threads, folder=folder, on_build=progress, on_round=show)
    table = Table(title=f"brain {brain}: where {len(found)} patterns bring the joystick, mm (fresh seeds)")
    for heading in ("direction", "lateral", "pull", "amplitudes (Foot1 ... Humerus4)"):
        table.add_column(heading)
    for pattern in found:
        lateral, pull = (
            f"{mean:+.1f} ± {spread:.1f}"
            for mean, spread in zip(pattern.displacement_mm, pattern.spread_mm, strict=True)
        )
        table.add_row(
            pattern.direction, lateral, pull, " ".join(f"{value:.2f}" for value in pattern.amplitude)
        )
    console.print(table)
    console.print(f"patterns: {folder / 'patterns.json'}")


def env_of(name: str) -> str:
    """Return the id of the environment that a command's option names."""
    ids = {name: f"robobrain/Joystick{name.capitalize()}-v0" for name in ("muscle", "torque")}
    if name not in ids:
        raise typer.BadParameter(f"{name!r} is unknown; choose one of {', '.join(ids)}.")
    return ids[name]


def _new_folder(folder: Path) -> Path:
    if folder.exists() and any(folder.iterdir()):
        raise typer.BadParameter(f"{folder} is not empty; give another --out.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
