from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from robobrain.errors import BrainFault, ConfigurationError
from robobrain.tasks.joystick.brain_env import JoystickBrainEnv
from robobrain.tasks.joystick.loop import Frame
from robobrain.tasks.joystick.protocol import load_protocol

ID = "robobrain/JoystickBrain-v0"
PULL = load_protocol("pull").amplitude.astype(np.float32)
REST = np.zeros(8, dtype=np.float32)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("error::UserWarning", "error::DeprecationWarning")]


@pytest.fixture(scope="module")
def env() -> Iterator[JoystickBrainEnv]:
    made = gymnasium.make(ID, brain="tiny", threads=1).unwrapped
    assert isinstance(made, JoystickBrainEnv)
    yield made
    made.close()


def kernel_of(env: JoystickBrainEnv) -> int:
    assert env._loop is not None
    return int(env._loop.brain.kernel_pid)  # type: ignore[attr-defined]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_environment_passes_gymnasiums_checks(env: JoystickBrainEnv) -> None:
    check_env(env, skip_render_check=True)


def test_stimulation_pulls_the_joystick(env: JoystickBrainEnv) -> None:
    outcomes = []
    for seed in (1, 2, 3):
        _, info = env.reset(seed=seed)
        terminated = truncated = False
        while not (terminated or truncated):
            action = REST if info["phase"] == "home" else PULL
            _, _, terminated, truncated, info = env.step(action)
        outcomes.append(info["trial"])
    assert all(row["attempted"] for row in outcomes)
    assert sum(row["peak_pull_mm"] > 7.0 for row in outcomes) >= 2


def test_the_observation_adds_motor_and_region_rates(env: JoystickBrainEnv) -> None:
    env.reset(seed=1)
    for _ in range(10):
        observation = env.step(PULL)[0]
    assert observation.shape == (54 + 8 + 7,)
    entry = dict(zip(env.observation_names, observation, strict=True))
    assert isinstance(env.movement, Frame)
    assert entry["motor/Humerus2"] == pytest.approx(env.movement.motor_rate_hz[5])
    assert entry["region_rate/M1"] == pytest.approx(env.movement.region_rate_hz[0])
    assert env.observation_units[-1] == "Hz"
    assert env.movement.times.brain_ms > 0.0
    assert "region_rate/{M1" in env.table.markdown()


def test_seeds_decide_everything(env: JoystickBrainEnv) -> None:
    def rollout(seed: int) -> np.ndarray:
        rows = [env.reset(seed=seed)[0]]
        rows += [env.step(PULL * (i > 10))[0] for i in range(30)]
        return np.array(rows)

    first = rollout(7)
    assert np.array_equal(first, rollout(7))
    assert not np.array_equal(first, rollout(8))


@pytest.mark.parametrize("action", [np.full(8, np.nan), np.zeros(3), None])
def test_unusable_actions_are_refused(env: JoystickBrainEnv, action: Any) -> None:
    env.reset(seed=1)
    with pytest.raises(ConfigurationError, match="action"):
        env.step(action)
    env.step(REST)


def test_a_killed_brain_is_a_clear_fault_and_reset_starts_another(env: JoystickBrainEnv) -> None:
    env.reset(seed=1)
    first = env.step(REST)[0]
    killed = kernel_of(env)
    os.killpg(killed, signal.SIGKILL)
    with pytest.raises(BrainFault, match="process ended"):
        env.step(REST)
    with pytest.raises(ResetNeeded):
        env.step(REST)
    env.reset(seed=1)
    assert kernel_of(env) != killed
    assert np.array_equal(env.step(REST)[0], first)


def test_closing_ends_the_brain_and_reset_starts_another() -> None:
    made = gymnasium.make(ID, brain="tiny", threads=1, exchange_ms=5.0).unwrapped
    assert made.dt == 0.005
    pid = kernel_of(made)
    made.reset(seed=1)
    made.close()
    made.close()
    assert not is_alive(pid)
    made.reset(seed=1)
    made.step(REST)
    made.close()


def test_an_unknown_brain_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="enormous"):
        gymnasium.make(ID, brain="enormous")


def rollout_from(env: JoystickBrainEnv, steps: int, scale: float = 1.0) -> np.ndarray:
    return np.array([env.step(PULL * scale * (i % 9 > 2))[0] for i in range(steps)])


def test_twenty_continuations_from_the_middle_of_a_movement_are_equal(env: JoystickBrainEnv) -> None:
    _, info = env.reset(seed=3)
    while info["phase"] != "moving":
        *_, info = env.step(PULL if info["phase"] != "home" else REST)
    instant = env.snapshot()
    expected, random = rollout_from(env, 6), env.np_random.integers(2**32)
    for _ in range(20):
        observation, info = env.restore(instant)
        assert info["phase"] == "moving"
        assert np.array_equal(rollout_from(env, 6), expected)
        assert env.np_random.integers(2**32) == random
    env.restore(instant)
    assert not np.array_equal(rollout_from(env, 6, scale=0.2), expected)
    assert np.array_equal(env.reset(options={"snapshot": instant})[0], observation)
    assert np.array_equal(rollout_from(env, 6), expected)
    seeded = []
    for seed in (5, 5, 6):
        assert np.array_equal(env.reset(seed=seed, options={"snapshot": instant})[0], observation)
        seeded.append(rollout_from(env, 6))
    assert np.array_equal(seeded[0], seeded[1])
    assert not np.array_equal(seeded[0], seeded[2])
    env.drop(instant)
    with pytest.raises(ConfigurationError, match="no snapshot"):
        env.restore(instant)


@pytest.mark.parametrize("options", [{"snapshot": 99}, {"snapshot": "one"}, {"snapshot": 1, "trial": 2}])
def test_what_is_no_instant_is_refused(env: JoystickBrainEnv, options: dict[str, Any]) -> None:
    env.reset(seed=1)
    with pytest.raises(ConfigurationError, match="snapshot"):
        env.reset(options=options)
    env.step(REST)
