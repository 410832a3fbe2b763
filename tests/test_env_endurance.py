"""Many episodes under random actions, bang-bang ones too: MuJoCo must not have a word to say about it."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

import robobrain  # noqa: F401 (registers the environments)
from robobrain.tasks.joystick import load_task

EPISODES = int(os.environ.get("ROBOBRAIN_EPISODES", "100"))
"""How many episodes each kind of environment makes; 10,000 take some minutes."""
ENVIRONMENTS = 8

pytestmark = pytest.mark.filterwarnings("error")


def impatient() -> Any:
    """The quick task with short time limits and a home so wide that random limbs get their cue."""
    task = load_task("quick")
    return replace(
        task,
        home=replace(task.home, radius_mm=3.9, dwell_ms=50.0, timeout_ms=400.0),
        pull=replace(task.pull, response_timeout_ms=400.0, move_timeout_ms=400.0),
    )


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("kind", ["Muscle", "Torque"])
def test_random_episodes_end_without_a_warning_of_mujoco(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo logs its warnings into the working directory
    make = partial(gymnasium.make, f"robobrain/Joystick{kind}-v0", task=impatient())
    vector = SyncVectorEnv([make] * ENVIRONMENTS)
    rng = np.random.default_rng(11)
    space = vector.single_action_space
    vector.reset(seed=11)
    vector.action_space.seed(11)
    ended, outcomes, action = 0, set(), vector.action_space.sample()
    while ended < EPISODES:
        fresh = rng.uniform(space.low, space.high, vector.action_space.shape).astype(np.float32)
        extreme = np.where(fresh > (space.low + space.high) / 2, space.high, space.low)
        # Half of the environments switch between extremes, and each keeps its action for a while.
        fresh[: ENVIRONMENTS // 2] = extreme[: ENVIRONMENTS // 2]
        action = np.where(rng.random((ENVIRONMENTS, 1)) < 0.2, fresh, action)
        seen, reward, terminated, truncated, info = vector.step(action)
        assert np.isfinite(seen).all()
        assert np.isfinite(reward).all()
        assert "fault" not in info
        done = terminated | truncated
        ended += int(done.sum())
        if done.any():
            outcomes |= set(info["trial"]["outcome"][done])
    for env in vector.envs:
        assert not env.unwrapped.data.warning.number.any()
    vector.close()
    assert not list(tmp_path.glob("MUJOCO_LOG*"))
    assert len(outcomes) >= 2  # they get further than home
