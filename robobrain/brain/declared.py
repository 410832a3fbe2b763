"""What all declarations of sources and monitors share when they come from a file or a message."""

from __future__ import annotations

from typing import Any, ClassVar

from robobrain.errors import ConfigurationError

LARGEST_WEIGHT_NS = 1e6
"""*Assumed*: ten thousand times the largest of the pathway probes; far above, potentials are no numbers."""


class Declared:
    """Base of the dataclasses that travel as JSON: unknown fields, NaN and infinities are refused."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}


def check_weight(owner: object, weight_nS: float) -> None:
    """Raise `ConfigurationError` unless a synapse can have this excitatory weight."""
    if not 0 < weight_nS <= LARGEST_WEIGHT_NS:
        raise ConfigurationError(
            f"{owner}: weight_nS is {weight_nS:g}; use a number above 0, at most {LARGEST_WEIGHT_NS:g}"
        )
