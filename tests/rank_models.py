"""A model for the tests of ranks: without NEST, with real MPI, in trouble on request."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from bridge_kernels import SumModel
from numpy.typing import NDArray

from robobrain.brain.ranks import ranks
from robobrain.bridge.messages import Readings

COMPUTES_S = 4.0
HANGS, COMPUTES = 555.0, 444.0


class Adding(SumModel):
    """Adds up its inputs over all ranks; the first tells what to do, the second the rank that does it."""

    def __init__(self, config: dict[str, Any], progress: Callable[[str, float], None]) -> None:
        super().__init__()

    def exchange(self, inputs: NDArray[np.float32]) -> Readings:
        if inputs[1] == ranks().rank:
            if inputs[0] == HANGS:
                time.sleep(3600.0)
            until = time.process_time() + COMPUTES_S * (inputs[0] == COMPUTES)
            while time.process_time() < until:
                pass
        return super().exchange(ranks().total(inputs.astype(np.float64)).astype(np.float32))
