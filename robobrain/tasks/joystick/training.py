"""Learning to pull: PPO of Stable-Baselines3 on an environment without a brain (needs the extra ``rl``)."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import RescaleAction

from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick.playing import play_session, rewarded
from robobrain.tasks.joystick.policy import Policy
from robobrain.tasks.joystick.specification import JoystickSpec, load_task

MUSCLE_ENV = "robobrain/JoystickMuscle-v0"
PRACTICE = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.0)
"""Parallel environments, each with its fraction of the task's dwell times: those of the task itself come late
by chance alone, the shorter ones lead there."""
PATIENCE = 0.35
"""Fraction of the task's time limits in practice: a limb that stands still teaches nothing."""
NETWORK = (64, 64)
FIRST_ACTIONS = {"robobrain/JoystickMuscle-v0": (-0.8, -0.7), "robobrain/JoystickTorque-v0": (0.0, -2.0)}
"""Mean (-1 to 1) and logarithm of the standard deviation of untrained actions: faint, so that limbs rest."""


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What to train.

    Attributes:
        env_id: A joystick environment without a brain.
        task: Preset or file of the task.
        seed: Root of all random draws.
        steps: Longest training, in steps of the environments.
        every: Steps between two evaluations.
        goal: Training ends after two evaluations in a row with at least this fraction of rewarded trials.
    """

    env_id: str = MUSCLE_ENV
    task: str = "quick"
    seed: int = 1
    steps: int = 400_000
    every: int = 16_384
    goal: float = 0.95


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One point of the learning curve: a whole session of the task without exploration."""

    steps: int
    wall_s: float
    rewarded: float


@dataclass(frozen=True, kw_only=True)
class Training:
    """What came out of a training."""

    policy: Policy
    curve: tuple[Evaluation, ...]


def train(plan: TrainingPlan, *, on_evaluation: Callable[[Evaluation], None] | None = None) -> Training:
    """Train a policy by PPO and evaluate it on the task itself as it learns.

    Args:
        plan: What to train.
        on_evaluation: Told about each point of the learning curve.

    Raises:
        ConfigurationError: The extra ``rl`` is not installed, or a value of the plan can't be used.
    """
    try:
        import torch  # noqa: PLC0415 (an extra, and heavy)
        from stable_baselines3 import PPO  # noqa: PLC0415
        from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize  # noqa: PLC0415
    except ImportError as problem:
        raise ConfigurationError(
            f"Training needs Stable-Baselines3 and PyTorch ({problem}). Fix: pip install 'robobrain[rl]'."
        ) from problem

    if plan.env_id not in FIRST_ACTIONS:
        raise ConfigurationError(f"{plan.env_id!r} can't be trained; choose {' or '.join(FIRST_ACTIONS)}.")
    if plan.steps < plan.every or not 0.0 < plan.goal <= 1.0:
        raise ConfigurationError(f"steps must be at least {plan.every}, and the goal in 0 to 1.")
    mean, log_spread = FIRST_ACTIONS[plan.env_id]
    torch.set_num_threads(1)
    task = load_task(plan.task)
    practice = DummyVecEnv([_practice(plan.env_id, task, part) for part in PRACTICE])
    normalised = VecNormalize(practice, gamma=0.99)
    exam = gymnasium.make(plan.env_id, task=task)
    model = PPO(
        "MlpPolicy",
        normalised,
        n_steps=256,
        batch_size=256,
        n_epochs=8,
        learning_rate=1e-3,
        gamma=0.99,
        policy_kwargs={"net_arch": list(NETWORK), "log_std_init": log_spread},
        seed=plan.seed,
        device="cpu",
    )
    with torch.no_grad():
        model.policy.action_net.bias.fill_(mean)
    curve: list[Evaluation] = []
    began = perf_counter()
    try:
        while not _is_good(curve, plan.goal) and model.num_timesteps < plan.steps:
            model.learn(plan.every, reset_num_timesteps=not curve)
            policy = _export(plan.env_id, exam, model, normalised.obs_rms)
            trials = play_session(exam, policy, trials=task.trials, seed=plan.seed)
            point = Evaluation(
                steps=model.num_timesteps, wall_s=perf_counter() - began, rewarded=rewarded(trials)
            )
            curve.append(point)
            if on_evaluation is not None:
                on_evaluation(point)
    finally:
        normalised.close()
        exam.close()
    return Training(policy=policy, curve=tuple(curve))


def write_curve(path: Path, curve: Sequence[Evaluation]) -> None:
    """Write a learning curve as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(Evaluation.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(asdict(point) for point in curve)


def read_curve(path: Path) -> tuple[Evaluation, ...]:
    """Read a learning curve that ``write_curve`` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(
            Evaluation(steps=int(row["steps"]), wall_s=float(row["wall_s"]), rewarded=float(row["rewarded"]))
            for row in csv.DictReader(file)
        )


class _Sessions(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Repeats the session's trials without end, so that practice meets all its blocks."""

    def __init__(self, env: gymnasium.Env[Any, Any], trials: int) -> None:
        super().__init__(env)
        self._trials, self._trial = trials, 0

    def reset(self, **keywords: Any) -> tuple[Any, dict[str, Any]]:
        self._trial = self._trial % self._trials + 1
        return self.env.reset(**keywords | {"options": {"trial": self._trial}})


def _practice(env_id: str, task: JoystickSpec, part: float) -> Callable[[], gymnasium.Env[Any, Any]]:
    """Return a maker of an environment with a part of the task's dwell times, and less patience."""
    easier = replace(
        task,
        home=replace(
            task.home,
            dwell_ms=task.home.dwell_ms * part,
            timeout_ms=max(PATIENCE * task.home.timeout_ms, 2.0 * task.home.dwell_ms),
        ),
        pull=replace(
            task.pull,
            response_timeout_ms=PATIENCE * task.pull.response_timeout_ms,
            move_timeout_ms=PATIENCE * task.pull.move_timeout_ms,
        ),
        target=replace(task.target, dwell_ms=task.target.dwell_ms * part),
    )

    def make() -> gymnasium.Env[Any, Any]:
        env = gymnasium.make(env_id, task=easier)
        return RescaleAction(_Sessions(env, task.trials), np.float32(-1.0), np.float32(1.0))

    return make


def _is_good(curve: Sequence[Evaluation], goal: float) -> bool:
    return len(curve) >= 2 and min(point.rewarded for point in curve[-2:]) >= goal


def _export(env_id: str, env: gymnasium.Env[Any, Any], model: Any, seen: Any) -> Policy:
    """Return the model's mean action as a policy of plain arrays."""
    weights = {name: values.numpy() for name, values in model.policy.state_dict().items()}
    names = [f"mlp_extractor.policy_net.{2 * layer}" for layer in range(len(NETWORK))] + ["action_net"]
    raw: Any = env.unwrapped
    return Policy(
        env_id=env_id,
        observation_names=raw.observation_names,
        mean=seen.mean.astype(np.float32),
        scale=np.sqrt(seen.var + model.env.epsilon).astype(np.float32),
        layers=tuple((weights[f"{name}.weight"].copy(), weights[f"{name}.bias"].copy()) for name in names),
        low=raw.action_space.low,
        high=raw.action_space.high,
    )
