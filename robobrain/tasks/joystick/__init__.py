"""Pulling a joystick against a lateral force field: the task, the closed loop, the environments, sessions.

A name's module is imported when the name is first used, so that the package itself stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robobrain.tasks.joystick.loop import Frame, Loop
    from robobrain.tasks.joystick.protocol import StimulationProtocol, load_protocol
    from robobrain.tasks.joystick.session import SessionSummary, run_session
    from robobrain.tasks.joystick.specification import JoystickSpec, load_task
    from robobrain.tasks.joystick.trial import Event, JoystickTask, Outcome, Phase, TrialResult

_HOMES = {
    "Event": "trial",
    "Frame": "loop",
    "JoystickSpec": "specification",
    "JoystickTask": "trial",
    "Loop": "loop",
    "Outcome": "trial",
    "Phase": "trial",
    "SessionSummary": "session",
    "StimulationProtocol": "protocol",
    "TrialResult": "trial",
    "load_protocol": "protocol",
    "load_task": "specification",
    "run_session": "session",
}

__all__ = [
    "Event",
    "Frame",
    "JoystickSpec",
    "JoystickTask",
    "Loop",
    "Outcome",
    "Phase",
    "SessionSummary",
    "StimulationProtocol",
    "TrialResult",
    "load_protocol",
    "load_task",
    "run_session",
]


def __getattr__(name: str) -> object:
    """Import a public name's module when the name is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
