"""What other installed distributions offer by name: bodies, tasks and brains.

A distribution offers one with an entry point, in its ``pyproject.toml``::

    [project.entry-points."robobrain.bodies"]
    heavy_limb = "my_package:HeavyLimb"

Nothing of it is imported before its name is asked for.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Literal

from robobrain.errors import ConfigurationError

Kind = Literal["bodies", "tasks", "brains"]
"""Bodies are callables that return a `robobrain.body.Forelimb`, tasks a `JoystickSpec` or the path of its
YAML file, brains the path of a folder of tables."""


def offered(kind: Kind) -> dict[str, EntryPoint]:
    """Return by name what installed distributions offer of a kind."""
    return {found.name: found for found in entry_points(group=f"robobrain.{kind}")}


def load(kind: Kind, name: str) -> object:
    """Import what is offered under a name and return it.

    Raises:
        ConfigurationError: Nothing of that name is offered, or it can't be imported.
    """
    found = offered(kind)
    if name not in found:
        raise ConfigurationError(
            f"No installed package offers {name!r} under robobrain.{kind}; "
            f"offered are: {', '.join(sorted(found)) or 'none'}."
            " Fix: install the package, or correct the name."
        )
    try:
        return found[name].load()
    except Exception as problem:
        raise ConfigurationError(
            f"{name!r} of robobrain.{kind} ({found[name].value}) can't be imported: {problem}."
        ) from problem
