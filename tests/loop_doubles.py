"""A brain without NEST for tests of the loop's logic: stimulation becomes motor rates, one to one."""

from __future__ import annotations

from typing import Any

import numpy as np

from robobrain.body.specification import JOINT_NAMES, MUSCLE_NAMES
from robobrain.bridge.messages import (
    Description,
    PhaseTimes,
    PopulationInfo,
    Port,
    Readings,
    Spikes,
    exact_inputs,
)

GAIN_HZ = 60.0

INPUTS = {
    "muscle_length": (MUSCLE_NAMES, "1", 1.0),
    "joint_angle": (JOINT_NAMES, "rad", 3.2),
    "joystick_position": (("lateral", "pull"), "mm", 5.0),
    "touch": (("grip",), "mN", 1000.0),
    "stimulation": (MUSCLE_NAMES, "1", 1.0),
}


def port(name: str, channels: tuple[str, ...], unit: str, high: float) -> Port:
    return Port(name=name, unit=unit, channels=channels, low=-high, high=high)


def description(**changes: Any) -> Description:
    values: dict[str, Any] = {
        "identity": "double",
        "brain": "double",
        "nest_version": "none",
        "ranks": 1,
        "threads": 1,
        "resolution_ms": 0.1,
        "exchange_ms": 10.0,
        "settle_ms": 0.0,
        "neurons": 8,
        "synapses": 0,
        "inputs": tuple(port(name, *entry) for name, entry in INPUTS.items()),
        "outputs": (port("region_rate", ("M1",), "Hz", 250.0), port("motor", MUSCLE_NAMES, "Hz", 250.0)),
        "populations": (PopulationInfo(name="M1", region="M1", first_id=1, size=8),),
        "build_ms": {},
    }
    return Description(**values | changes)


class RelayBrain:
    """Motor rate = GAIN_HZ * stimulation of the same exchange; one spike per exchange from node 1."""

    def __init__(self, run_ms: float = 0.0, **changes: Any) -> None:
        self._run_ms = run_ms
        self.description = description(**changes)
        self.told: list[np.ndarray] = []
        self.seeds: list[int] = []
        self._begun: list[Readings] = []
        self.closed = False

    def reset(self, seed: int) -> Readings:
        self.seeds.append(seed)
        self._seq, self._begun = 0, []
        return self._readings(np.zeros(8), None)

    def step(self, inputs: Any) -> Readings:
        vector = exact_inputs(inputs, self.description.input_size)
        self.told.append(vector.copy())
        self._seq += 1
        t_ms = np.array([self._seq * self.description.exchange_ms - 1.0])
        spikes = Spikes(t_ms=t_ms, sender=np.array([1], dtype=np.uint32))
        stimulation = np.zeros(8)
        if any(item.name == "stimulation" for item in self.description.inputs):
            stimulation = vector[self.description.input_slice("stimulation")]
        return self._readings(stimulation, spikes)

    def begin_step(self, inputs: Any) -> None:
        assert len(self._begun) < 2
        self._begun.append(self.step(inputs))

    def finish_step(self) -> Readings:
        return self._begun.pop(0)

    def collect(self) -> Spikes | None:
        return None

    def collect_all(self) -> Readings:
        return Readings(outputs=np.zeros(0, dtype=np.float32), spikes=self.collect())

    def close(self) -> None:
        self.closed = True

    def _readings(self, stimulation: np.ndarray, spikes: Spikes | None) -> Readings:
        outputs = np.zeros(self.description.output_size, dtype=np.float32)
        outputs[self.description.output_slice("motor")] = GAIN_HZ * stimulation
        t_ms = self._seq * self.description.exchange_ms
        return Readings(
            seq=self._seq, t_ms=t_ms, outputs=outputs, spikes=spikes, times=PhaseTimes(run_ms=self._run_ms)
        )
