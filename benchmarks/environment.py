"""What a step of ``robobrain/JoystickMuscle-v0`` costs, against MuJoCo alone and against other packages.

    python benchmarks/environment.py          against bare ``mj_step``: same model, actions and substeps
    python benchmarks/environment.py --peers  also against Gymnasium's Reacher-v5 and, if installed, MyoSuite

Times are CPU times of the thread, so that other work on the machine disturbs little; what counts are ratios
within one run. The peers come with ``pip install 'robobrain[peers]'``.
"""

from __future__ import annotations

import argparse
import statistics
from time import thread_time
from typing import Any

import gymnasium
import mujoco
import numpy as np

import robobrain  # noqa: F401 (registers the environments)
from robobrain.tasks.joystick.protocol import load_protocol

EPISODES, ROUNDS = 20, 15
REST, PULL = np.full(8, 0.02, np.float32), 0.7 * load_protocol("pull").amplitude.astype(np.float32)


def episode(env: Any) -> tuple[list[float], list[np.ndarray]]:
    """Rest until the cue, then pull; return the seconds that each step took, and the actions."""
    _, info = env.reset(seed=1)
    actions, seconds, done = [], [], False
    while not done:
        actions.append(REST if info["phase"] == "home" else PULL)
        began = thread_time()
        _, _, terminated, truncated, info = env.step(actions[-1])
        seconds.append(thread_time() - began)
        done = terminated or truncated
    return seconds, actions


def bare(env: Any, actions: list[np.ndarray]) -> list[float]:
    """Return the seconds that MuJoCo takes for each step of the same movement, from the same state."""
    env.reset(seed=1)
    model, data = env.unwrapped.model, env.unwrapped.data
    substeps, seconds = round(env.unwrapped.dt / model.opt.timestep), []
    for action in actions:
        data.ctrl[:] = action
        began = thread_time()
        mujoco.mj_step(model, data, substeps)
        seconds.append(thread_time() - began)
    return seconds


def against_mujoco(env: Any) -> None:
    """Print the ratio of environment to bare physics: of all steps, and of each step's fastest repetition."""
    rounds, own, physics = [], [], []
    for _ in range(ROUNDS):
        pairs = [episode(env) for _ in range(EPISODES)]
        own += [seconds for seconds, _ in pairs]
        physics += [bare(env, actions) for _, actions in pairs]
        rounds.append(np.sum(own[-EPISODES:]) / np.sum(physics[-EPISODES:]))
    own_us, physics_us = np.array(own) * 1e6, np.array(physics) * 1e6
    print(f"step {np.mean(own_us):.0f} us, bare mj_step {np.mean(physics_us):.0f} us, ratio", end=" ")
    print(f"{np.median(rounds):.2f} ({min(rounds):.2f} to {max(rounds):.2f} in {ROUNDS} rounds)")
    own_us, physics_us = own_us.min(axis=0), physics_us.min(axis=0)
    print(
        f"fastest repetition of each step: {own_us.mean():.0f} us, {physics_us.mean():.0f} us, ratio", end=" "
    )
    print(f"{own_us.sum() / physics_us.sum():.3f}")


def random_steps(env: Any, steps: int) -> float:
    """Return the seconds per step under random actions, resets left out."""
    env.action_space.seed(1)
    env.reset(seed=1)
    actions = [env.action_space.sample() for _ in range(steps)]
    spent = 0.0
    for action in actions:
        began = thread_time()
        _, _, terminated, truncated, _ = env.step(action)
        spent += thread_time() - began
        if terminated or truncated:
            env.reset()
    return spent / steps


def bare_random(env: Any, substeps: int, steps: int) -> float:
    """Return the seconds that MuJoCo alone takes per control step, under random controls."""
    env.reset(seed=1)
    raw = env.unwrapped
    model, data = (raw.model, raw.data) if hasattr(raw, "model") else (raw.sim.model, raw.sim.data)
    model, data = getattr(model, "ptr", model), getattr(data, "ptr", data)
    controls = np.random.default_rng(1).uniform(*model.actuator_ctrlrange.T, (steps, model.nu))
    spent = 0.0
    for number, control in enumerate(controls):
        data.ctrl[:] = control
        began = thread_time()
        mujoco.mj_step(model, data, substeps)
        spent += thread_time() - began
        if number % 100 == 99:
            env.reset()
    return spent / steps


def at_equal_physics(env: Any) -> None:
    """Print control steps per second beside a Reacher-v5 whose step holds as much physics, taking turns."""
    substeps = round(env.unwrapped.dt / env.unwrapped.model.opt.timestep)
    frame = bare_random(gymnasium.make("Reacher-v5"), 2, 2000) / 2
    frames = round(bare_random(env, substeps, 1000) / frame)
    envs = {"JoystickMuscle-v0": (env, substeps)}
    envs["Reacher-v5"] = gymnasium.make("Reacher-v5", frame_skip=frames), frames
    turns = [
        [(random_steps(peer, 200), bare_random(peer, steps, 200)) for peer, steps in envs.values()]
        for _ in range(2 * ROUNDS)
    ]
    steps_us, physics_us = np.median(np.array(turns) * 1e6, axis=0).T
    for (name, (_, frames)), whole, physics in zip(envs.items(), steps_us, physics_us, strict=True):
        print(f"{name}: {1e6 / whole:,.0f} control steps/s; of {whole:.0f} us a step,", end=" ")
        print(f"{physics:.0f} us are {frames} bare physics steps, {whole - physics:.0f} us its own")


def against_peers() -> None:
    """Print control and physics steps per second of this and other packages' environments."""
    ids = ["robobrain/JoystickMuscle-v0", "Reacher-v5"]
    try:
        import myosuite  # noqa: F401, PLC0415 (registers its environments)
    except ImportError:
        print("MyoSuite is not installed here.")
    else:
        ids.append("myoElbowPose1D6MRandom-v0")
    for name in ids:
        env: Any = gymnasium.make(name)
        raw = env.unwrapped
        model = raw.model if hasattr(raw, "model") else raw.sim.model
        substeps = round(raw.dt / model.opt.timestep)
        pairs = [(random_steps(env, 1000), bare_random(env, substeps, 1000)) for _ in range(5)]
        seconds, physics = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(
            f"{name}: {1 / seconds:,.0f} control steps/s, {substeps / seconds:,.0f} physics steps/s, "
            f"{raw.dt / seconds:.1f} s of model time per s; of {seconds * 1e6:.0f} us a step, "
            f"{physics * 1e6:.0f} us are {substeps} bare physics steps"
        )
        env.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", action="store_true", help="measure other packages' environments too")
    arguments = parser.parse_args()
    against_mujoco(gymnasium.make("robobrain/JoystickMuscle-v0").unwrapped)
    if arguments.peers:
        at_equal_physics(gymnasium.make("robobrain/JoystickMuscle-v0"))
        against_peers()
