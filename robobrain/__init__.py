"""A spiking whole brain in NEST that moves a MuJoCo mouse forelimb.

Importing registers the Gymnasium environments ``robobrain/JoystickMuscle-v0``,
``robobrain/JoystickTorque-v0`` and ``robobrain/JoystickBrain-v0`` and nothing more: NEST, MuJoCo, gRPC and
Matplotlib are imported when they are first needed.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import gymnasium

if TYPE_CHECKING:
    from robobrain.tasks.joystick.loop import Loop

__all__ = ["Loop", "__version__"]

__version__ = version("robobrain")

_JOYSTICK = "robobrain.tasks.joystick"
for _name, _module, _vector in (
    ("JoystickMuscle", "direct", None),
    ("JoystickTorque", "direct", None),
    ("JoystickBrain", "brain_env", f"{_JOYSTICK}.vector:JoystickBrainVectorEnv"),
):
    gymnasium.register(
        id=f"robobrain/{_name}-v0",
        entry_point=f"{_JOYSTICK}.{_module}:{_name}Env",
        vector_entry_point=_vector,
    )


def __getattr__(name: str) -> object:
    """Import ``Loop`` when it is first used."""
    if name != "Loop":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from robobrain.tasks.joystick.loop import Loop  # noqa: PLC0415 (imports the bridge)

    return Loop
