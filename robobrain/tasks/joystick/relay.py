"""A link without a brain: the stimulation of a muscle's column goes to its motor pool as it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from robobrain.body.specification import MUSCLE_NAMES, PoolSpec
from robobrain.bridge.messages import Description, PhaseTimes, Port, Readings, Spikes, exact_inputs


class Relay:
    """Stands where a brain would: the control of what the brain adds to a stimulation.

    A stimulation of 0 to 1 becomes the motor rate that drives the muscle's pool by as much. There are no
    neurons, nothing is felt, and nothing is random.

    Args:
        pools: The motor pools that the rates go to.
        exchange_ms: Period of the exchange.
    """

    def __init__(self, pools: PoolSpec, exchange_ms: float) -> None:
        self._pools, self._seq = pools, 0
        full_hz = pools.baseline_hz + pools.span_hz
        self.description = Description(
            identity="none",
            brain="none",
            nest_version="none",
            ranks=0,
            threads=0,
            resolution_ms=exchange_ms,
            exchange_ms=exchange_ms,
            settle_ms=0.0,
            neurons=0,
            synapses=0,
            inputs=(Port(name="stimulation", unit="1", channels=MUSCLE_NAMES, low=0.0, high=1.0),),
            outputs=(Port(name="motor", unit="Hz", channels=MUSCLE_NAMES, low=0.0, high=full_hz),),
            populations=(),
            build_ms={},
        )

    def reset(self, seed: int) -> Readings:
        """Begin an episode; all seeds are alike."""
        self._seq = 0
        return self._readings(np.zeros(len(MUSCLE_NAMES), dtype=np.float32))

    def step(self, inputs: ArrayLike) -> Readings:
        """Return the motor rates that belong to the stimulation ``inputs`` [8].

        Raises:
            ConfigurationError: They have a wrong shape or aren't finite.
        """
        stimulation = exact_inputs(inputs, self.description.input_size)
        self._seq += 1
        rate_hz = self._pools.baseline_hz + self._pools.span_hz * stimulation
        return self._readings(np.where(stimulation > 0.0, rate_hz, 0.0).astype(np.float32))

    def collect(self) -> Spikes | None:
        """Return None: there are no spikes."""
        return None

    def collect_all(self) -> Readings:
        """Return readings without anything."""
        return Readings(outputs=np.zeros(0, dtype=np.float32))

    def close(self) -> None:
        """Do nothing: there is nothing to end."""

    def _readings(self, rate_hz: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Readings:
        t_ms = self._seq * self.description.exchange_ms
        times = PhaseTimes(run_ms=0.0)
        return Readings(seq=self._seq, t_ms=t_ms, outputs=rate_hz, spikes=None, times=times)
