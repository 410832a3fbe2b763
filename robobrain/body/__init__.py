"""The body: a mouse's forelimb at a joystick, its spinal stage, and pictures of it (MuJoCo).

MuJoCo is imported with the first use of a name that needs it, not with the package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robobrain.body.decorations import Zone
    from robobrain.body.forelimb import Forelimb, TorqueForelimb
    from robobrain.body.rendering import Renderer
    from robobrain.body.specification import ForelimbSpec, SpinalSpec
    from robobrain.body.spinal import SpinalCord
    from robobrain.body.state import BodyState

_HOMES = {
    "BodyState": "state",
    "Forelimb": "forelimb",
    "ForelimbSpec": "specification",
    "Renderer": "rendering",
    "SpinalCord": "spinal",
    "SpinalSpec": "specification",
    "TorqueForelimb": "forelimb",
    "Zone": "decorations",
}

__all__ = [
    "BodyState",
    "Forelimb",
    "ForelimbSpec",
    "Renderer",
    "SpinalCord",
    "SpinalSpec",
    "TorqueForelimb",
    "Zone",
]


def __getattr__(name: str) -> object:
    """Import a public name's module when the name is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
