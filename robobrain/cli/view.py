"""``robobrain view``: a window on the limb, live or from a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robobrain.cli.console import build_progress, console


def view(
    recording: Annotated[Path | None, typer.Option(help="Play a run directory.")] = None,
    policy: Annotated[str | None, typer.Option(help="Show a trained policy: pull, or an .npz file.")] = None,
    hand: Annotated[
        bool, typer.Option("--hand", help="The limb alone at rest, to be pulled with the mouse.")
    ] = False,
    brain: Annotated[
        str, typer.Option(help="Otherwise: the closed loop with a brain of this size.")
    ] = "tiny",
    protocol: Annotated[str, typer.Option(help="Stimulation of the brain at each cue.")] = "pull",
    task: Annotated[str, typer.Option(help="Task: a preset or a YAML file.")] = "quick",
    trials: Annotated[int, typer.Option(min=1, help="Number of trials.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Root of all random draws.")] = 1,
    threads: Annotated[int | None, typer.Option(help="Threads (default: the size's own).")] = None,
    camera: Annotated[str, typer.Option(help="overview, side, top or close.")] = "overview",
    speed: Annotated[float, typer.Option(min=0.01, help="Highest speed; 1 is real time.")] = 1.0,
) -> None:
    """Open a window on the limb: the live loop, a policy, the limb alone, or a recording.

    It needs a display. In all but a recording the mouse pulls at joystick and limb: a double click chooses
    a part, Ctrl and the right button pull it.
    """
    from robobrain.tasks.joystick import viewing  # noqa: PLC0415 (imports the bridge)

    viewing.need_display()
    if hand:
        console.print(f"{viewing.view_by_hand(camera=camera, speed=speed)} exchanges shown")
        return
    if recording is not None:
        shown = viewing.view_recording(recording, camera=camera, speed=speed)
        console.print(f"{shown} exchanges shown")
        return
    if policy is not None:
        ended = viewing.view_policy(policy, task=task, trials=trials, seed=seed, camera=camera, speed=speed)
    else:
        with build_progress(brain) as progress:
            ended = viewing.view_brain(
                brain,
                protocol=protocol,
                task=task,
                trials=trials,
                seed=seed,
                threads=threads,
                camera=camera,
                speed=speed,
                on_build=progress,
            )
    console.print(f"{ended} trials shown")
