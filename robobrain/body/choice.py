"""Bodies by name, those of other distributions."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from robobrain.body.forelimb import Forelimb
from robobrain.errors import ConfigurationError
from robobrain.plugins import load


def make_body(name: str) -> Forelimb:
    """Return a new body that an installed distribution offers under ``robobrain.bodies``.

    Raises:
        ConfigurationError: None of that name is offered, or what is offered makes no `Forelimb`.
    """
    offer = load("bodies", name)
    made = cast(Callable[[], object], offer)() if callable(offer) else offer
    if not isinstance(made, Forelimb):
        raise ConfigurationError(
            f"{name!r} of robobrain.bodies makes a {type(made).__name__}, no robobrain.body.Forelimb."
            " Fix: offer a subclass, or a function that returns one."
        )
    return made
