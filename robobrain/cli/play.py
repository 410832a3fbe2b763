"""``robobrain play``: a trained policy in its environment, without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robobrain.cli.console import console


def play(
    policy: Annotated[str, typer.Option(help="A policy of the package (pull) or an .npz file.")] = "pull",
    task: Annotated[str, typer.Option(help="Task: a preset or a YAML file.")] = "quick",
    trials: Annotated[int, typer.Option(min=1, help="Number of trials.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Root of all random draws.")] = 1,
    video: Annotated[Path | None, typer.Option(help="Write a film of the trials (.mp4, .gif).")] = None,
    camera: Annotated[str, typer.Option(help="overview, side, top or close.")] = "overview",
    speed: Annotated[float, typer.Option(min=0.01, help="Speed of the film; 1 is real time.")] = 0.25,
    window: Annotated[bool, typer.Option("--window", help="Show it in a window.")] = False,
) -> None:
    """Play a session under a trained policy; print each trial, and the fraction of rewarded ones."""
    from robobrain.tasks.joystick.playing import Trial, open_policy, play_session, rewarded  # noqa: PLC0415

    def show(trial: Trial) -> None:
        console.print(
            f"trial {trial['trial']:3d}  {trial['block']:<12} {trial['lateral_force_mN']:+5.0f} mN  "
            f"{trial['outcome']:<12} peak {trial['peak_pull_mm']:4.1f} mm, "
            f"{trial['deviation_after_mm']:+5.2f} mm aside",
            highlight=False,
        )

    mode = "human" if window else "rgb_array" if video else None
    with open_policy(policy, task=task, render_mode=mode, camera=camera, video=video, speed=speed) as (
        env,
        controller,
    ):
        rows = play_session(env, controller, trials=trials, seed=seed, on_trial=show)
    console.print(f"rewarded {rewarded(rows):.0%} of {len(rows)} trials")
    if video is not None:
        console.print(f"film: {video}")
