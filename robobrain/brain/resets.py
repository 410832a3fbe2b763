"""How a brain returns to its settled state: in a copy of the process, or by setting its state again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from robobrain.bridge.messages import Resets
from robobrain.errors import ConfigurationError


def resets_of(config: Mapping[str, Any]) -> Resets:
    """Return how the kernel process of ``config`` resets its brain, ``ranks`` and ``resets`` in it.

    Copies are made by fork, which MPI does not survive and some platforms do not have.

    Raises:
        ConfigurationError: There is no such way.
    """
    wanted = config.get("resets", Resets.COPY)
    try:
        resets = Resets(wanted)
    except ValueError:
        raise ConfigurationError(
            f"resets is {wanted!r}; use one of {', '.join(one.value for one in Resets)}"
        ) from None
    if config.get("ranks") is not None or not hasattr(os, "fork"):
        return Resets.REINITIALISATION
    return resets
