"""Several brains at once behave as several environments one after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import robobrain  # noqa: F401 (registers the environments)
from robobrain.errors import BrainFault, ConfigurationError
from robobrain.tasks.joystick.specification import Home, load_task

ID = "robobrain/JoystickBrain-v0"
HASTY = replace(load_task(), home=Home(radius_mm=1.5, dwell_ms=300.0, timeout_ms=400.0))
TINY: dict[str, Any] = {"brain": "tiny", "threads": 1, "exchange_ms": 20.0, "task": HASTY}

pytestmark = pytest.mark.slow


def rollout(vector: Any, steps: int) -> list[np.ndarray]:
    rows = [vector.reset(seed=[3, 4])[0]]
    vector.action_space.seed(2)
    for _ in range(steps):
        seen, reward, terminated, truncated, _ = vector.step(vector.action_space.sample())
        rows += [seen, reward, terminated, truncated]
        done = terminated | truncated
        if vector.metadata["autoreset_mode"] is AutoresetMode.DISABLED and done.any():
            vector.reset(options={"reset_mask": done})
    vector.close()
    return rows


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_brains_side_by_side_are_brains_one_after_the_other(mode: AutoresetMode) -> None:
    native = gymnasium.make_vec(
        ID,
        num_envs=2,
        vectorization_mode="vector_entry_point",
        autoreset_mode=mode,
        **TINY,
    )
    single = SyncVectorEnv([lambda: gymnasium.make(ID, **TINY)] * 2, autoreset_mode=mode)
    first, second = rollout(native, 50), rollout(single, 50)
    assert any(np.any(part) for part in second[4::4])  # episodes ended, so that resets are among the steps
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a, b)


def test_a_lost_brain_is_a_fault_and_the_others_end() -> None:
    vector: Any = gymnasium.make_vec(ID, num_envs=2, vectorization_mode="vector_entry_point", **TINY)
    vector.reset(seed=1)
    vector.envs[1].unwrapped._loop.brain.close()
    with pytest.raises((BrainFault, ConfigurationError)):
        vector.step(vector.action_space.sample())
    vector.close()


def test_a_wrong_argument_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="enormous"):
        gymnasium.make_vec(ID, num_envs=2, vectorization_mode="vector_entry_point", brain="enormous")
