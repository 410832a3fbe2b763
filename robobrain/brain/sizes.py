"""Sizes between the named ones: numbers of the scale and tuned currents follow by interpolation."""

from __future__ import annotations

import math
from collections.abc import Mapping

from robobrain.brain.rows import SizeRow
from robobrain.errors import ConfigurationError

CURRENT, CONDUCTANCE = FAMILIES = ("current", "conductance")
"""Families of neurons: linearised at the working point (the default), or conductance-based as published."""


def split_family(name: str) -> tuple[str, str]:
    """Return the size and the family that ``name`` means: ``tiny-conductance``, or ``tiny`` for currents."""
    size = name.removesuffix(f"-{CONDUCTANCE}")
    return size, CURRENT if size == name else CONDUCTANCE


def with_family(name: str, family: str) -> str:
    """Return the name of a size in a family; the inverse of `split_family`.

    Raises:
        ConfigurationError: There is no such family.
    """
    if family not in FAMILIES:
        raise ConfigurationError(f"no family of neurons '{family}'; there are {', '.join(FAMILIES)}")
    size = split_family(name)[0]
    return size if family == CURRENT else f"{size}-{family}"


def parse_scale(name: str) -> float | None:
    """Return the neuron scale that ``name`` gives as a number, None where it is no number.

    Raises:
        ConfigurationError: The number is not above 0 and at most 1.
    """
    try:
        scale = float(name)
    except ValueError:
        return None
    if not 0 < scale <= 1:
        raise ConfigurationError(
            f"a scale of {name} does not exist: use the part of all neurons to build, above 0 and at most 1"
        )
    return scale


def size_between(sizes: Mapping[str, SizeRow], scale: float) -> SizeRow:
    """Return the size with this part of all neurons; between named sizes numbers follow a power law."""
    lower, upper, share = neighbours(sizes, scale)
    low, high = sizes[lower], sizes[upper]

    def at(name: str) -> float:
        return float(getattr(low, name) ** (1 - share) * getattr(high, name) ** share)

    return SizeRow(
        description=f"{scale:g} of all neurons, {_place(lower, upper)}",
        neuron_scale=scale,
        threads=high.threads,
        granule_scale=min(1.0, at("granule_scale")),
        indegree_scale=min(1.0, at("indegree_scale")),
        granule_indegree_scale=min(1.0, at("granule_indegree_scale")),
        neurons_min=round(at("neurons_min")),
        noise_relays=round(at("noise_relays")),
    )


def neighbours(sizes: Mapping[str, SizeRow], scale: float) -> tuple[str, str, float]:
    """Return the named sizes below and above ``scale`` and how far it lies between them, 0 to 1."""
    order = sorted(sizes, key=lambda name: sizes[name].neuron_scale)
    below = [name for name in order if sizes[name].neuron_scale <= scale]
    above = [name for name in order if sizes[name].neuron_scale >= scale]
    lower, upper = (below or above)[-1 if below else 0], (above or below)[0 if above else -1]
    low, high = sizes[lower].neuron_scale, sizes[upper].neuron_scale
    share = math.log(scale / low) / math.log(high / low) if low != high else 0.0
    return lower, upper, share


def mixed(low: Mapping[str, float], high: Mapping[str, float], share: float) -> dict[str, float]:
    """Return the values between two tables of one value per population."""
    return {name: low[name] * (1 - share) + high[name] * share for name in low.keys() & high.keys()}


def _place(lower: str, upper: str) -> str:
    return f"as {lower} otherwise" if lower == upper else f"between {lower} and {upper}"
