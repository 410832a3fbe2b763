"""How the motor cortex is stimulated during a session: trains that follow the cue of each trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robobrain.body.specification import MUSCLE_NAMES
from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick.files import Specification, build, package_file, read_yaml
from robobrain.tasks.joystick.rig import FloatArray, Movement

DEFAULT_PROTOCOL = "pull"
PROTOCOL_FILE = "stimulation.yaml"


@dataclass(frozen=True, kw_only=True)
class StimulationProtocol(Specification):
    """One train of stimulation per cue.

    Attributes:
        name: Name by which it is chosen.
        delay_ms: From the cue to the train's beginning.
        ramp_ms: Time in which it rises.
        duration_ms: From its beginning to its end, ramp included.
        jitter: Standard deviation of each amplitude between trials, relative to the amplitude.
        amplitudes: Stimulation of a muscle's column (0..1) by the muscle's name; 0 for those not named.
    """

    name: str
    delay_ms: float
    ramp_ms: float
    duration_ms: float
    jitter: float
    amplitudes: Mapping[str, float]

    def __post_init__(self) -> None:
        if min(self.delay_ms, self.ramp_ms, self.duration_ms, self.jitter) < 0.0:
            raise ConfigurationError("delay_ms, ramp_ms, duration_ms and jitter must not be negative.")
        unknown = sorted(set(self.amplitudes) - set(MUSCLE_NAMES))
        if unknown:
            raise ConfigurationError(
                f"amplitudes names unknown muscles {unknown}; known are {', '.join(MUSCLE_NAMES)}."
            )
        if not all(0.0 <= amplitude <= 1.0 for amplitude in self.amplitudes.values()):
            raise ConfigurationError("amplitudes must lie in 0 to 1.")

    @property
    def amplitude(self) -> FloatArray:
        """Amplitudes [8] in the order of the muscles."""
        return np.array([self.amplitudes.get(name, 0.0) for name in MUSCLE_NAMES])


@dataclass(frozen=True, kw_only=True)
class _ProtocolFile(Specification):
    protocols: tuple[StimulationProtocol, ...]


def load_protocol(name: str = DEFAULT_PROTOCOL, file: str | Path | None = None) -> StimulationProtocol:
    """Load the protocol ``name`` from a YAML file, by default the package's.

    Raises:
        ConfigurationError: The file is invalid or has no protocol of this name; the message lists its own.
    """
    path = package_file(PROTOCOL_FILE) if file is None else Path(file)
    protocols = build(_ProtocolFile, read_yaml(path)[0], path.name).protocols
    for protocol in protocols:
        if protocol.name == name:
            return protocol
    known = ", ".join(protocol.name for protocol in protocols)
    raise ConfigurationError(f"Unknown stimulation protocol {name!r}; {path.name} has {known}.")


class Stimulator:
    """Turns a protocol into the stimulation of each next exchange.

    Args:
        protocol: What to do at a cue.
        exchange_ms: Time of one exchange.
        rng: Draws the amplitudes of each train.
    """

    def __init__(self, protocol: StimulationProtocol, exchange_ms: float, rng: np.random.Generator) -> None:
        self._protocol, self._exchange_ms, self._rng = protocol, exchange_ms, rng
        self._begin_ms = -np.inf
        self._amplitude = np.zeros(len(MUSCLE_NAMES))

    def next(self, movement: Movement) -> FloatArray:
        """Return the stimulation [8] of the exchange that follows ``movement``, constant through it.

        The train's shape is read at the middle of the exchange.
        """
        for event in movement.events:
            if event.name == "cue":
                self._start(event.t_ms)
        protocol = self._protocol
        since_ms = movement.t_ms + self._exchange_ms / 2 - self._begin_ms
        if not 0.0 <= since_ms < protocol.duration_ms:
            return np.zeros_like(self._amplitude)
        return self._amplitude * (min(since_ms / protocol.ramp_ms, 1.0) if protocol.ramp_ms else 1.0)

    def _start(self, cue_ms: float) -> None:
        protocol = self._protocol
        self._begin_ms = cue_ms + protocol.delay_ms
        spread = 1.0 + protocol.jitter * self._rng.standard_normal(len(MUSCLE_NAMES))
        self._amplitude = (protocol.amplitude * spread).clip(0.0, 1.0)
