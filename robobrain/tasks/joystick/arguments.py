"""The kinds of values that environments take, checked before anything is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np

from robobrain.brain.devices import Devices
from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick.specification import JoystickSpec

LARGEST_PICTURE = 8192
"""Largest width and height of a picture in pixels (*assumed*: 8K)."""

_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "task": ((str, Path, JoystickSpec), "the name of a preset, the path of a YAML file, or a JoystickSpec"),
    "body": ((str, NoneType), "the name of a body that an installed package offers, or None"),
    "render_mode": ((str, NoneType), "the name of a mode, or None"),
    "width": ((Integral,), f"a whole number of pixels from 1 to {LARGEST_PICTURE}"),
    "height": ((Integral,), f"a whole number of pixels from 1 to {LARGEST_PICTURE}"),
    "camera": ((str,), "the name of a camera"),
    "fatigue": ((bool, np.bool_), "True or False"),
    "brain": ((str, NoneType), "the name of a size, a part of all neurons as text, or FOLDER:SIZE"),
    "threads": ((Integral, NoneType), "a whole number from 1 on, or None"),
    "alterations": ((Mapping, NoneType), "a mapping such as {'lesion': ['S1']}, or None"),
    "connect": ((str, NoneType), "host:port of a server, @FILE with its rendezvous file, or None"),
    "credentials": ((str, Path, NoneType), "the path of a folder, or None"),
    "devices": ((str, Path, Mapping, Devices, NoneType), "a YAML file, its content, Devices, or None"),
}


def check_kinds(arguments: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError` where an argument of an environment is of a kind that can't be used.

    What a value of the right kind means is checked where it is used; arguments that are not listed here are
    only checked there.
    """
    for name, (kinds, wanted) in _KINDS.items():
        if name not in arguments:
            continue
        value = arguments[name]
        fits = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
        if fits and name in ("width", "height"):
            fits = 1 <= value <= LARGEST_PICTURE
        if not fits:
            raise ConfigurationError(f"{name} is {value!r:.60}; give {wanted}.")
