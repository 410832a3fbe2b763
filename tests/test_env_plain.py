"""A step takes short cuts; what comes out must be, bit for bit, what the plain formulas give ms by ms."""

from __future__ import annotations

import hashlib
from typing import Any

import gymnasium
import numpy as np
import pytest

import robobrain  # noqa: F401 (registers the environments)
from robobrain.body import Forelimb, TorqueForelimb
from robobrain.body.model import GRIP, JOYSTICK, LIMB, TIP
from robobrain.tasks.joystick import JoystickTask, Outcome, Phase, load_task
from robobrain.tasks.joystick.protocol import load_protocol

REST, PULL = np.full(8, 0.02, np.float32), 0.7 * load_protocol("pull").amplitude.astype(np.float32)


class Plain:
    """A trial with nothing but single ms and formulas: no sweep, no gauge, no rig, no table."""

    def __init__(self, kind: str, preset: str, trial: int) -> None:
        self.body = Forelimb() if kind == "Muscle" else TorqueForelimb()
        self.task = JoystickTask(load_task(preset))
        self.motors = kind == "Torque"
        self.sites = [self.body.model.site(name).id for name in (JOYSTICK + TIP, LIMB + GRIP)]
        self.rest_m = self.body.data.site_xpos[self.sites].copy()
        self.task.begin_trial(trial)
        self.task.take_events()

    def step(self, action: np.ndarray, exchange_ms: int) -> tuple[np.ndarray, float, tuple[Any, ...]]:
        low, high = self.body.drive_range
        drive = np.clip(action.astype(np.float64), low, high)
        covered = self.task.progress
        for _ in range(exchange_ms):
            self.body.advance(drive, 1.0, self.task.lateral_force_mN)
            self.task.tick(((self.body.data.site_xpos[self.sites] - self.rest_m) * 1e3)[0])
        weights, result = self.task.spec.reward, self.task.take_result()
        reward = 0.0
        if result is not None and result.outcome is Outcome.REWARDED:
            reward += weights.success
        reward += weights.progress * max(self.task.progress - covered, 0.0)
        reward += -weights.effort * (float(drive @ drive) / len(drive)) * (exchange_ms * 1.0 / 1000.0)
        if result is not None and result.outcome is not Outcome.REWARDED:
            reward -= weights.miss
        return self.observation(), reward, (result is not None, self.task.take_events())

    def observation(self) -> np.ndarray:
        body, data = self.body, self.body.data
        speed_m_s = body.state().joystick_velocity_mm_s  # also finds the forces of now
        tip_mm, paw_mm = (data.site_xpos[self.sites] - self.rest_m) * 1e3
        parts = [tip_mm[:2], speed_m_s, paw_mm, data.qpos[:4], data.qvel[:4]]
        if not self.motors:
            rest_m, most_N = body.rest_length_m, body.max_force_N
            parts += [data.ten_length / rest_m - 1.0, data.ten_velocity / rest_m]
            parts += [data.actuator_force[:8] / -most_N, data.act]
        parts += [[phase is self.task.phase for phase in Phase], self.task.target_mm]
        return np.concatenate(parts).astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "preset", "trial", "exchange_ms"),
    [
        ("Muscle", "quick", 1, 10),
        ("Muscle", "quick", 12, 7),
        ("Muscle", "centre_out", 3, 25),
        ("Torque", "quick", 1, 10),
    ],
)
def test_a_rollout_is_what_the_plain_formulas_give(
    kind: str, preset: str, trial: int, exchange_ms: int
) -> None:
    env = gymnasium.make(f"robobrain/Joystick{kind}-v0", task=preset, exchange_ms=float(exchange_ms))
    env.reset(seed=1)
    _, info = env.reset(options={"trial": trial})
    plain = Plain(kind, preset, trial)
    # The draws of a direction are the environment's own: continue from the same instant.
    plain.task.set_state(env.unwrapped.task.get_state())
    rng = np.random.default_rng(2)
    quick, slow = hashlib.sha256(), hashlib.sha256()
    events, ended = set(), False
    space = env.observation_space
    while not ended:
        action = 0.1 * rng.uniform(-1.0, 1.0, 4).astype(np.float32)
        if kind == "Muscle":
            action = REST if info["phase"] == "home" else PULL
        seen, reward, terminated, truncated, info = env.step(action)
        ended = terminated or truncated
        expected, plain_reward, (plain_ended, plain_events) = plain.step(action, exchange_ms)
        quick.update(seen.tobytes() + np.float64(reward).tobytes())
        slow.update(np.clip(expected, space.low, space.high).tobytes() + np.float64(plain_reward).tobytes())
        assert np.array_equal(seen, np.clip(expected, space.low, space.high))
        assert (ended, info["events"]) == (plain_ended, plain_events)
        events |= {event.name for event in info["events"]}
    assert quick.digest() == slow.digest()
    assert "end" in events
    if kind == "Muscle":
        assert "start" in events
    env.close()
