"""A hand-made controller on the Gymnasium interface: rest until the cue, then pull with 70 % drive."""

import gymnasium
import numpy as np

import robobrain  # noqa: F401 (registers the environments)
from robobrain.tasks.joystick import load_protocol

REST = np.full(8, 0.02, dtype=np.float32)
PULL = (0.7 * load_protocol("pull").amplitude).astype(np.float32)

env = gymnasium.make("robobrain/JoystickMuscle-v0", task="quick")
for trial in range(1, 16):
    observation, info = env.reset(seed=1 if trial == 1 else None)
    done = False
    while not done:
        action = REST if info["phase"] == "home" else PULL
        observation, reward, terminated, truncated, info = env.step(action)
        done = terminated or truncated
    row = info["trial"]
    print(f"trial {trial:2d}  {row['lateral_force_mN']:+3.0f} mN  {row['outcome']:<9}", end="  ")
    print(f"{row['deviation_after_mm']:+.2f} mm aside after {row['duration_ms']:.0f} ms")
env.close()
