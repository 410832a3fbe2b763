"""How much faster a brain is with packed neurons, as ``robobrain bench neurons`` prints it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from robobrain.brain.config import local_brain
from robobrain.brain.packed import NeuronModels

TURN = 50
"""Exchanges of a turn: the two brains take turns, so that both see the same machine."""


@dataclass(frozen=True, kw_only=True)
class NeuronTimes:
    """Time of NEST's ``Run`` for one exchange: median over turns of the median of each.

    Attributes:
        nest_ms: With NEST's own neurons.
        packed_ms: With packed ones.
        ratio: Median over turns of packed over NEST's own.
        ratio_quartiles: The range in which half of the turns lie.
    """

    nest_ms: float
    packed_ms: float
    ratio: float
    ratio_quartiles: tuple[float, float]


def measure_neurons(
    brain: str,
    *,
    threads: int | None,
    turns: int,
    on_build: Callable[[str, float], None] | None = None,
) -> NeuronTimes:
    """Run two brains in ``turns`` (two or more), one from NEST's neurons and one from packed ones.

    Raises:
        ConfigurationError: Packed neurons are not compiled, or a value is out of range.
    """
    with ExitStack() as stack:
        brains = [
            stack.enter_context(local_brain(brain, threads=threads, neurons=models, on_progress=on_build))
            for models in (NeuronModels.PACKED, NeuronModels.NEST)
        ]
        for one in brains:
            one.reset(1)
        rest = [0.0] * brains[0].description.input_size
        times_ms = [[_turn_ms(one.step, rest) for one in brains] for _ in range(turns + 1)][1:]
    ratios = [packed_ms / nest_ms for packed_ms, nest_ms in times_ms]
    low, _, high = quantiles(ratios, n=4)
    packed_ms, nest_ms = (median(column) for column in zip(*times_ms, strict=True))
    return NeuronTimes(
        nest_ms=nest_ms, packed_ms=packed_ms, ratio=median(ratios), ratio_quartiles=(low, high)
    )


def _turn_ms(step: Callable[[Sequence[float]], Any], inputs: Sequence[float]) -> float:
    return float(median(step(inputs).times.run_ms for _ in range(TURN)))
