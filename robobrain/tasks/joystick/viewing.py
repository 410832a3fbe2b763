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
from robobrain.tasks.joystick.loop import Loop
from robobrain.tasks.joystick.playing import open_policy
from robobrain.tasks.joystick.protocol import Stimulator, load_protocol
from robobrain.tasks.joystick.screen import force_lines, has_display, task_lines, task_zones
from robobrain.tasks.joystick.specification import load_task
from robobrain.tasks.joystick.trial import JoystickTask

if TYPE_CHECKING:
    from robobrain.body import Forelimb
    from robobrain.body.window import Window


HAND_EXCHANGE_MS = 10.0
SPIKES_EACH_MS = 50.0
"""How often a window asks for spikes: by itself a brain hands them out more rarely."""
HINT = "double click: choose a part; Ctrl + right button: pull it"


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
    """Show a session in closed loop, with rates and spikes beside it; return the trials that ended.

    It ends after ``trials`` trials, or when the window is closed.

    Raises:
        ConfigurationError: There is no display, or a value can't be used.
        BrainFault: The brain was lost.
    """
    need_display()
    from robobrain.body import Forelimb  # noqa: PLC0415 (loads MuJoCo)
    from robobrain.body.window import Window  # noqa: PLC0415
    from robobrain.brain.config import local_brain  # noqa: PLC0415
    from robobrain.tasks.joystick.activity import Activity  # noqa: PLC0415 (loads matplotlib)

    spec, plan = load_task(task), load_protocol(protocol)
    starting = local_brain(brain, threads=threads, record_spikes=True, on_progress=on_build)
    with starting as link, closing(Forelimb()) as body, closing(Window(body, camera)) as window:
        loop = Loop(link, body, JoystickTask(spec))
        activity = Activity(link.description)
        stimulator = Stimulator(plan, link.description.exchange_ms, generator(seed, "stimulation"))
        frame, ended, clock = loop.reset(seed), 0, Clock(speed)
        while window.is_open and ended < trials:
            frame = loop.step(stimulator.next(frame))
            ended += frame.trial is not None
            activity.add(frame)
            if frame.t_ms % SPIKES_EACH_MS == 0.0:
                activity.add_spikes(loop.collect().spikes)
            window.show(task_zones(loop.task), task_lines(loop.task), activity)
            clock.wait_for(frame.t_ms)
        return ended


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


def view_by_hand(*, camera: str = "overview", speed: float = 1.0) -> int:
    """Show the limb at rest until the window is closed, to be pulled with the mouse; return the exchanges.

    Raises:
        ConfigurationError: There is no display.
    """
    need_display()
    from robobrain.body import Forelimb  # noqa: PLC0415 (loads MuJoCo)
    from robobrain.body.window import Window  # noqa: PLC0415

    with closing(Forelimb()) as body, closing(Window(body, camera)) as window:
        return by_hand(body, window, speed=speed)


def by_hand(body: Forelimb, window: Window, *, speed: float) -> int:
    """Let a limb rest at its tone while a window on it is open; return how many exchanges that were."""
    tone = np.full(len(body.drive_names), body.spec.physics.resting_tone)
    clock, exchanges = Clock(speed), 0
    while window.is_open:
        body.advance(tone, HAND_EXCHANGE_MS)
        lateral_mm, pull_mm = body.joystick_mm()
        window.show((), (f"joystick {lateral_mm:+.1f} mm left, {pull_mm:+.1f} mm pulled", HINT))
        exchanges += 1
        clock.wait_for(exchanges * HAND_EXCHANGE_MS)
    return exchanges


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


def replay(folder: Path, body: Forelimb, window: Window, *, speed: float) -> int:
    """Show each recorded exchange in an open window; return how many were shown."""
    from robobrain.recording import open as open_run  # noqa: PLC0415 (takes a while)
    from robobrain.tasks.joystick.replayed import RecordedBody, Story, recorded_zones  # noqa: PLC0415

    run = open_run(folder)
    limb, story, zones = RecordedBody(run, body, *run.span_ms), Story(run), recorded_zones(run)
    clock, shown = Clock(speed), 0
    for t_ms in limb.t_ms.tolist():
        if not window.is_open:
            break
        limb.show(t_ms)
        told = f"{t_ms / 1e3:.2f} s", *story.lines(t_ms), *force_lines(body.lateral_force_mN)
        window.show(zones, told)
        clock.wait_for(t_ms - limb.t_ms[0])
        shown += 1
    return shown
