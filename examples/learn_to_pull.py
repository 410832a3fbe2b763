"""Learn to pull the joystick with muscles, then watch what was learned.

    pip install 'robobrain[rl]'
    python examples/learn_to_pull.py

It takes a few minutes on two cores; docs/learning.md tells why it is so quick.
"""

from pathlib import Path

import gymnasium

import robobrain  # noqa: F401 (registers the environments)
from robobrain.tasks.joystick.playing import play_session, rewarded
from robobrain.tasks.joystick.training import TrainingPlan, train

FILE = Path("pull.npz")


def main() -> None:
    """Train, save the policy, and play a session of 30 trials with it."""
    training = train(TrainingPlan(seed=1), on_evaluation=print)
    training.policy.save(FILE)
    with gymnasium.make("robobrain/JoystickMuscle-v0") as env:
        trials = play_session(env, training.policy, trials=30, seed=2)
    for block in ("baseline", "perturbation", "washout"):
        print(f"{block}: {rewarded([trial for trial in trials if trial['block'] == block]):.0%} rewarded")
    print(f"robobrain play --policy {FILE} --video film.mp4")


if __name__ == "__main__":
    main()
