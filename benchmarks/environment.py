"""What a step of ``robobrain/JoystickMuscle-v0`` costs, against MuJoCo alone and against other packages.

    python benchmarks/environment.py          against bare ``mj_step``: same model, actions and substeps
    python benchmarks/environment.py --peers  also against Gymnasium's Reacher-v5 and, if installed, MyoSuite

All that is compared takes turns at the same steps, time and again; each step counts by its fastest turn, that
other work on the machine disturbs least. Bare physics repeats the movement that the environment made. What
counts are ratios within one run. The peers come with ``pip install 'robobrain[peers]'``.
"""

from __future__ import annotations

import argparse
from time import perf_counter
from typing import Any, NamedTuple

import gymnasium
import mujoco
import numpy as np

import robobrain  # noqa: F401 (registers the environments)
from robobrain.tasks.joystick.protocol import load_protocol

PULLS, TURNS, STEPS = 300, 30, 400
REST, PULL = np.full(8, 0.02, np.float32), 0.7 * load_protocol("pull").amplitude.astype(np.float32)


class Course(NamedTuple):
    """Some steps: the seconds they took, the controls they set, and whether a reset came after them."""

    seconds: list[float]
    controls: list[np.ndarray]
    ends: list[bool]


def step(env: Any, action: np.ndarray, course: Course) -> dict[str, Any]:
    """Take a step, add it to a course, and return its info."""
    began = perf_counter()
    _, _, terminated, truncated, info = env.step(action)
    course.seconds.append(perf_counter() - began)
    course.controls.append(physics_of(env)[1].ctrl.copy())
    course.ends.append(terminated or truncated)
    return info


def pull_course(env: Any) -> Course:
    """Rest until the cue, then pull, until the trial ends."""
    _, info = env.reset(seed=1)
    course = Course([], [], [False])
    while not course.ends[-1]:
        info = step(env, REST if info["phase"] == "home" else PULL, course)
    return course._replace(ends=course.ends[1:])


def random_course(env: Any, steps: int) -> Course:
    """Step under random actions, the same each time; resets are left out of the seconds."""
    env.action_space.seed(1)
    env.reset(seed=1)
    course = Course([], [], [])
    for action in [env.action_space.sample() for _ in range(steps)]:
        step(env, action, course)
        if course.ends[-1]:
            env.reset()
    return course


def bare_course(env: Any, course: Course) -> list[float]:
    """Return the seconds that MuJoCo takes for each step of the same movement, from the same states."""
    env.reset(seed=1)
    model, data = physics_of(env)
    substeps, seconds = substeps_of(env), []
    for control, ended in zip(course.controls, course.ends, strict=True):
        data.ctrl[:] = control
        began = perf_counter()
        mujoco.mj_step(model, data, substeps)
        seconds.append(perf_counter() - began)
        if ended:
            env.reset()
    return seconds


def physics_of(env: Any) -> tuple[Any, Any]:
    """Return MuJoCo's model and data, also of what MyoSuite wraps."""
    raw = env.unwrapped
    model, data = (raw.model, raw.data) if hasattr(raw, "model") else (raw.sim.model, raw.sim.data)
    return getattr(model, "ptr", model), getattr(data, "ptr", data)


def substeps_of(env: Any) -> int:
    """Return the number of physics steps in one of the environment's."""
    return round(env.unwrapped.dt / physics_of(env)[0].opt.timestep)


def against_mujoco(env: Any) -> None:
    """Print the ratio of a pull's steps to their bare physics, by each step's median and fastest turn."""
    courses = [(course.seconds, bare_course(env, course)) for course in map(pull_course, [env] * PULLS)]
    for name, middle in (("median", np.median), ("fastest", np.min)):
        whole, physics = middle(courses, axis=0).mean(axis=1) * 1e6
        print(f"{name} turn of each step: {whole:.0f} us, bare mj_step {physics:.0f} us", end=", ")
        print(f"ratio {whole / physics:.3f}")


def in_turns(envs: list[Any]) -> list[tuple[float, float]]:
    """Return the us that a random step of each takes, and its bare physics, by each step's fastest turn."""
    turns: list[list[Any]] = [[] for _ in envs]
    for _ in range(TURNS):
        for env, own in zip(envs, turns, strict=True):
            course = random_course(env, STEPS)
            own.append((course.seconds, bare_course(env, course)))
    return [tuple(np.min(own, axis=0).mean(axis=1) * 1e6) for own in turns]


def at_equal_physics(env: Any) -> None:
    """Print control steps per second beside a Reacher-v5 whose step holds as much physics, taking turns."""
    (_, ours), (_, ten_frames) = in_turns([env, gymnasium.make("Reacher-v5", frame_skip=10)])
    peer = gymnasium.make("Reacher-v5", frame_skip=round(10 * ours / ten_frames))
    results = in_turns([env, peer])
    equal = results[0][1]
    for one, (whole, physics) in zip((env, peer), results, strict=True):
        own = whole - physics
        print(
            f"{one.spec.id}: of {whole:.1f} us a step, {physics:.1f} us are {substeps_of(one)} bare physics "
            f"steps, {own:.1f} us its own;"
        )
        print(f"    at {equal:.1f} us of physics {1e6 / (equal + own):,.0f} control steps/s")


def against_peers() -> None:
    """Print control and physics steps per second of this and other packages' environments."""
    ids = ["robobrain/JoystickMuscle-v0", "Reacher-v5"]
    try:
        import myosuite  # noqa: F401, PLC0415 (registers its environments)
    except ImportError:
        print("MyoSuite is not installed here.")
    else:
        ids.append("myoElbowPose1D6MRandom-v0")
    envs: list[Any] = [gymnasium.make(name) for name in ids]
    for name, env, (whole, physics) in zip(ids, envs, in_turns(envs), strict=True):
        substeps = substeps_of(env)
        print(
            f"{name}: {1e6 / whole:,.0f} control steps/s, {1e6 * substeps / whole:,.0f} physics steps/s, "
            f"{1e6 * env.unwrapped.dt / whole:.1f} s of model time per s; of {whole:.0f} us a step, "
            f"{physics:.0f} us are {substeps} bare physics steps"
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
