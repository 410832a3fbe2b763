"""Sessions of an environment under a policy: the trials that it makes, and how many are rewarded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick.policy import Policy, load_policy

Trial = dict[str, Any]
Controller = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def play_session(
    env: gymnasium.Env[Any, Any],
    policy: Controller,
    *,
    trials: int,
    seed: int,
    on_trial: Callable[[Trial], None] | None = None,
) -> list[Trial]:
    """Play the session's first ``trials`` trials, one episode each, and return their rows.

    A trial that a diverged physics cut off has no row.

    Args:
        env: One of the joystick environments.
        policy: From observation to action.
        trials: Number of episodes.
        seed: Seed of the first reset; the others go on from there.
        on_trial: Told about each row.
    """
    rows: list[Trial] = []
    for episode in range(trials):
        observation, _ = env.reset(seed=seed if episode == 0 else None)
        done = False
        while not done:
            observation, _, terminated, truncated, info = env.step(policy(observation))
            done = terminated or truncated
        if "trial" in info:
            rows.append(info["trial"])
            if on_trial is not None:
                on_trial(info["trial"])
    return rows


def rewarded(trials: list[Trial]) -> float:
    """Return the fraction of rewarded trials."""
    return float(np.mean([trial["reward"] for trial in trials])) if trials else 0.0


@contextmanager
def open_policy(
    policy: str | Path,
    *,
    task: str | Path,
    render_mode: str | None = None,
    camera: str = "overview",
    video: Path | None = None,
    speed: float = 1.0,
) -> Iterator[tuple[gymnasium.Env[Any, Any], Policy]]:
    """Open the environment of a policy, and close it at the end.

    Args:
        policy: Name or file of the policy.
        task: Preset or file of the task.
        render_mode: How the environment is shown.
        camera: From where.
        video: File to which the film of all steps is written at the end.
        speed: Speed of the film; 1 is real time.

    Raises:
        ConfigurationError: Policy and environment don't fit, or the film can't be written.
    """
    loaded = load_policy(policy)
    env = gymnasium.make(loaded.env_id, task=task, render_mode=render_mode, camera=camera)
    film = None if video is None else _Film(env, video, speed)
    try:
        raw: Any = env.unwrapped
        loaded.check(loaded.env_id, raw.observation_names)
        yield film or env, loaded
        if film is not None:
            film.write()
    finally:
        env.close()


class _Film(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Takes a picture after each step and writes them as a film."""

    def __init__(self, env: gymnasium.Env[Any, Any], file: Path, speed: float) -> None:
        super().__init__(env)
        try:
            from moviepy.video.io.ImageSequenceClip import ImageSequenceClip  # noqa: PLC0415 (an extra)
        except ImportError as problem:
            raise ConfigurationError(
                f"A film needs MoviePy ({problem}). Fix: pip install 'robobrain[rl]'."
            ) from problem
        if file.suffix not in (".mp4", ".gif"):
            raise ConfigurationError(f"A film is written as .mp4 or .gif, not as {file.name!r}.")
        self._clip, self._file, self._speed = ImageSequenceClip, file, speed
        self._pictures: list[NDArray[np.uint8]] = []

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        result = self.env.step(action)
        self._pictures.append(np.asarray(self.env.render()))
        return result

    def write(self) -> None:
        fps = self.env.unwrapped.metadata["render_fps"] * self._speed
        self._file.parent.mkdir(parents=True, exist_ok=True)
        clip = self._clip(self._pictures, fps=fps)
        if self._file.suffix == ".gif":
            clip.write_gif(str(self._file), logger=None)
        else:
            clip.write_videofile(str(self._file), logger=None)
