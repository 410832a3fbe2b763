"""Trained policies as plain arrays: saved, loaded and run with NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick.files import package_file

Array = NDArray[np.float32]

POLICIES = ("pull",)
"""Names of the policies that come with the package."""

_LAYER = "layer{}_{}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Policy:
    """A network of tanh layers from an observation to an action.

    Attributes:
        env_id: The environment that it was trained for.
        observation_names: The entries that it reads, in order.
        mean: Subtracted from the observation.
        scale: The rest is divided by it, then clipped to +-10.
        layers: Weights [out, in] and biases [out] of each layer, the last one without tanh.
        low: Output -1 means this action.
        high: Output 1 means this action.
    """

    env_id: str
    observation_names: tuple[str, ...]
    mean: Array
    scale: Array
    layers: tuple[tuple[Array, Array], ...]
    low: Array
    high: Array

    def __call__(self, observation: Array) -> Array:
        """Return the action for an observation."""
        values = ((observation - self.mean) / self.scale).clip(-10.0, 10.0)
        *hidden, (weights, biases) = self.layers
        for inner, shift in hidden:
            values = np.tanh(inner @ values + shift)
        output = (weights @ values + biases).clip(-1.0, 1.0)
        action: Array = (self.low + (output + 1.0) / 2.0 * (self.high - self.low)).astype(np.float32)
        return action

    def check(self, env_id: str, observation_names: tuple[str, ...]) -> None:
        """Raise ConfigurationError unless the policy fits an environment."""
        if (env_id, observation_names) != (self.env_id, self.observation_names):
            raise ConfigurationError(
                f"The policy was trained on {self.env_id} and reads {len(self.observation_names)} entries; "
                f"{env_id} gives {len(observation_names)}. Fix: run it there, or train one for {env_id}."
            )

    def save(self, path: Path) -> None:
        """Write the policy as an ``.npz`` file."""
        layers: dict[str, Any] = {
            _LAYER.format(index, part): values
            for index, layer in enumerate(self.layers)
            for part, values in zip(("weights", "biases"), layer, strict=True)
        }
        arrays: dict[str, Any] = {name: getattr(self, name) for name in ("mean", "scale", "low", "high")}
        arrays |= {"env_id": self.env_id, "observation_names": np.array(self.observation_names)}
        np.savez_compressed(path, allow_pickle=False, **arrays, **layers)


def load_policy(policy: str | Path = "pull") -> Policy:
    """Load a policy by the name of one that comes with the package, or by the path of an ``.npz`` file.

    Raises:
        ConfigurationError: Neither a name nor such a file.
    """
    path = package_file(f"{policy}.npz") if policy in POLICIES else Path(policy)
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
        depth = sum(name.endswith("_weights") for name in arrays)
        return Policy(
            env_id=str(arrays["env_id"]),
            observation_names=tuple(map(str, arrays["observation_names"])),
            layers=tuple(
                (arrays[_LAYER.format(i, "weights")], arrays[_LAYER.format(i, "biases")])
                for i in range(depth)
            ),
            **{name: arrays[name] for name in ("mean", "scale", "low", "high")},
        )
    except (OSError, KeyError, ValueError) as problem:
        raise ConfigurationError(
            f"Policy {str(policy)!r} can't be read ({problem}). "
            f"Fix: give one of {', '.join(POLICIES)}, or a file of `robobrain train`."
        ) from problem
