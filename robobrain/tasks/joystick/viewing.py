"""A window on the joystick task: a brain in closed loop, a trained policy, or a recording."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

import numpy as np

from robobrain.errors import ConfigurationError
from robobrain.seeding import generator
from robobrain.tasks.joystick.loop import Frame, Loop
from robobrain.tasks.joystick.playing import open_policy
from robobrain.tasks.joystick.protocol import Stimulator, load_protocol
from robobrain.tasks.joystick.screen import has_display, task_lines, task_zones
from robobrain.tasks.joystick.specification import load_task
from robobrain.tasks.joystick.trial import JoystickTask

if TYPE_CHECKING:
    from robobrain.body.window import Window

_RATE_PER_BAR_HZ = 2.0


class Clock:
    """Holds a loop back to a multiple of real time; what is slower runs as fast as it can."""

    def __init__(self, speed: float) -> None:
        self._speed, self._began = speed, perf_counter()

    def wait_for(self, t_ms: float) -> None:
        """Wait until model time ``t_ms`` is due."""
        ahead_s = t_ms / 1e3 / self._speed - (perf_counter() - self._began)
        if ahead_s > 0.0:
            sleep(ahead_s)


def need_display() -> None:
    """Raise ConfigurationError where there is no display, and say how to get a film instead."""
    if not has_display():
        raise ConfigurationError(
            "A window needs a display and there is none. "
            "Fix: write a film, `robobrain play --video film.mp4`, or pictures with render_mode='rgb_array'."
        )


def view_brain(
    brain: str,
    *,
    protocol: str,
    task: str,
    trials: int,
    seed: int,
    threads: int | None = None,
    camera: str = "overview",
    speed: float = 1.0,
    on_build: Callable[[str, float], None] | None = None,
) -> int:
    """Show a session in closed loop with the rates of the brain's regions; return the trials that ended.

    It ends after ``trials`` trials, or when the window is closed.

    Raises:
        ConfigurationError: There is no display, or a value can't be used.
        BrainFault: The brain was lost.
    """
    need_display()
    from robobrain.body import Forelimb  # noqa: PLC0415 (loads MuJoCo)
    from robobrain.body.window import Window  # noqa: PLC0415
    from robobrain.brain.config import local_brain  # noqa: PLC0415

    spec, plan = load_task(task), load_protocol(protocol)
    starting = local_brain(brain, threads=threads, on_progress=on_build)
    with starting as link, closing(Forelimb()) as body, closing(Window(body, camera)) as window:
        loop = Loop(link, body, JoystickTask(spec))
        regions = next((port.channels for port in link.description.outputs if port.name == "region_rate"), ())
        stimulator = Stimulator(plan, link.description.exchange_ms, generator(seed, "stimulation"))
        frame, ended, clock = loop.reset(seed), 0, Clock(speed)
        while window.is_open and ended < trials:
            frame = loop.step(stimulator.next(frame))
            ended += frame.trial is not None
            window.show(task_zones(loop.task), (*task_lines(loop.task), *rate_lines(regions, frame)))
            clock.wait_for(frame.t_ms)
        return ended


def rate_lines(regions: tuple[str, ...], frame: Frame) -> tuple[str, ...]:
    """Return each region's rate as a bar and a number."""
    return tuple(
        f"{name:<6} {'|' * min(round(rate / _RATE_PER_BAR_HZ), 40)} {rate:.1f} Hz"
        for name, rate in zip(regions, frame.region_rate_hz, strict=True)
    )


def view_policy(
    policy: str, *, task: str, trials: int, seed: int, camera: str = "overview", speed: float = 1.0
) -> int:
    """Show a session under a trained policy; return the trials that ended."""
    need_display()
    with open_policy(policy, task=task, render_mode="human", camera=camera) as (env, controller):
        raw: Any = env.unwrapped
        ended = 0
        while ended < trials:
            observation, _ = env.reset(seed=seed if ended == 0 else None)
            clock, done = Clock(speed), False
            while not done:
                if not raw.window_is_open:
                    return ended
                observation, _, terminated, truncated, _ = env.step(controller(observation))
                done = terminated or truncated
                clock.wait_for(raw.movement.t_ms)
            ended += 1
        return ended


def view_recording(folder: Path, *, camera: str = "overview", speed: float = 1.0) -> int:
    """Play a recorded session in a window; return the exchanges that were shown.

    Raises:
        ConfigurationError: There is no display.
        RecordingError: There is no such recording.
    """
    need_display()
    from robobrain.body import Forelimb  # noqa: PLC0415 (loads MuJoCo)
    from robobrain.body.window import Window  # noqa: PLC0415

    with closing(Forelimb()) as body, closing(Window(body, camera)) as window:
        return replay(folder, body, window, speed=speed)


def replay(folder: Path, body: Any, window: Window, *, speed: float) -> int:
    """Show each recorded exchange in an open window; return how many were shown."""
    from robobrain.body.posing import pose  # noqa: PLC0415 (loads MuJoCo)
    from robobrain.recording import open as open_run  # noqa: PLC0415

    run = open_run(folder)
    t_ms, angles = run.array("joint_angle_rad")
    _, activations = run.array("activation")
    tick_ms, joystick_mm = run.array("joystick_mm")
    _, force_mN = run.array("lateral_force_mN")
    ends = np.searchsorted(tick_ms, t_ms, side="right") - 1
    clock, shown = Clock(speed), 0
    for now_ms, angle, activation, end in zip(t_ms, angles, activations, ends, strict=True):
        if not window.is_open:
            break
        pose(body, joint_angle_rad=angle, joystick_mm=joystick_mm[end], activation=activation)
        window.show((), (f"{now_ms / 1e3:.2f} s", f"force {float(force_mN[end, 0]):+.0f} mN"))
        clock.wait_for(float(now_ms - t_ms[0]))
        shown += 1
    return shown
