"""What travels between a brain and its user: plain dataclasses over NumPy arrays."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from robobrain.errors import ConfigurationError, choices

PROTOCOL_VERSION = "1.0"
"""``major.minor`` of the messages; ends with another major version refuse each other."""
SESSION_KEY = "robobrain-session"
"""Metadata of a call that names its session."""
BEING_BUILT = "the brain is being built"
"""How the reason begins why a server has no brain yet."""
FLOAT32 = np.dtype("<f4")
"""How inputs and outputs travel."""
_DIGEST_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class Port:
    """A named group of channels, one number each.

    Attributes:
        name: Name of the port, unique among the inputs or the outputs.
        unit: Unit of every channel.
        channels: Names of the channels, in the order in which they travel.
        low: Lower end of the useful range.
        high: Upper end of the useful range.
        description: One line for people.
    """

    name: str
    unit: str
    channels: tuple[str, ...]
    low: float
    high: float
    description: str = ""

    @property
    def size(self) -> int:
        """Number of channels."""
        return len(self.channels)


@dataclass(frozen=True, kw_only=True)
class PopulationInfo:
    """A population whose NEST node ids are ``first_id ... first_id + size - 1``."""

    name: str
    region: str
    first_id: int
    size: int


@dataclass(frozen=True, kw_only=True)
class History:
    """Samples that a brain hands out every few exchanges: the monitor's name, and what its columns are.

    Attributes:
        name: Name of the monitor.
        unit: Unit of the values.
        columns: Names of the columns.
        interval_ms: Time between samples; 0 for events, which have no fixed interval.
        description: One line for people.
    """

    name: str
    unit: str
    columns: tuple[str, ...]
    interval_ms: float = 0.0
    description: str = ""


class Resets(StrEnum):
    """How a brain returns to its settled state.

    COPY: each episode runs in a copy of the settled process; all begin at the same instant, spikes in flight
    included, and instants can be kept.
    REINITIALISATION: after the first episode its state variables are set again, once the spikes in flight
    have died down; episodes after the first repeat exactly with their seed. No instants, so no branches.
    """

    COPY = "copy"
    REINITIALISATION = "reinitialisation"


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a brain is, and the order of its channels.

    Attributes:
        protocol_version: Version of the messages that the brain speaks.
        identity: Hash of the scaled tables that the network was built from.
        brain: Name of the brain.
        nest_version: Version of the simulator.
        ranks: Number of MPI processes.
        threads: Number of threads of each process.
        resolution_ms: Time step of the simulation.
        exchange_ms: Brain time of one step of the exchange.
        settle_ms: Brain time that ran before the settled state.
        neurons: Number of neurons.
        synapses: Number of synapses.
        inputs: Ports that a step writes, in the order of the input vector.
        outputs: Ports that a step reads, in the order of the output vector.
        populations: Where the node ids of spikes belong.
        build_ms: Wall-clock time of each phase of the building.
        histories: Samples that come with the readings every few exchanges.
        snapshot_limit: Number of instants that it can keep; 0 where it can only return to the settled state.
        resets: How it returns there.
        neuron_models: ``packed`` or ``nest``: whose code computes the neurons. The spikes are the same.
    """

    protocol_version: str = PROTOCOL_VERSION
    identity: str
    brain: str
    nest_version: str
    ranks: int
    threads: int
    resolution_ms: float
    exchange_ms: float
    settle_ms: float
    neurons: int
    synapses: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    populations: tuple[PopulationInfo, ...]
    build_ms: Mapping[str, float]
    histories: tuple[History, ...] = ()
    snapshot_limit: int = 0
    resets: Resets = Resets.COPY
    neuron_models: str = "nest"

    @property
    def input_size(self) -> int:
        """Length of the input vector."""
        return sum(port.size for port in self.inputs)

    @property
    def output_size(self) -> int:
        """Length of the output vector."""
        return sum(port.size for port in self.outputs)

    def check_places(self, names: Sequence[str]) -> None:
        """Refuse names that are neither populations nor regions, nor ``PRE:POST`` of two (``*`` for all).

        Raises:
            ConfigurationError: The message lists what exists.
        """
        regions = dict.fromkeys(one.region for one in self.populations)
        for whole in names:
            if whole.count(":") > 1:
                raise ConfigurationError(f"{whole!r}: write PRE:POST, e.g. M1:BG")
        ends = [(end, ":" in whole) for whole in names for end in whole.split(":")]
        for name, everything in ends:
            if everything and name == "*":
                continue
            if name not in regions and all(one.name != name for one in self.populations):
                known = choices(name, (*regions, *(one.name for one in self.populations)))
                raise ConfigurationError(f"the brain has no population or region {name!r}; it has {known}")

    def input_slice(self, name: str) -> slice:
        """Return where the input port ``name`` lies in the input vector.

        Raises:
            ConfigurationError: The brain has no such input.
        """
        return _slice_of(name, self.inputs, "input")

    def output_slice(self, name: str) -> slice:
        """Return where the output port ``name`` lies in the output vector.

        Raises:
            ConfigurationError: The brain has no such output.
        """
        return _slice_of(name, self.outputs, "output")


def _slice_of(name: str, ports: Sequence[Port], kind: str) -> slice:
    start = 0
    for port in ports:
        if port.name == name:
            return slice(start, start + port.size)
        start += port.size
    existing = ", ".join(port.name for port in ports) or "none"
    raise ConfigurationError(f"the brain has no {kind} {name!r}; its {kind}s are: {existing}")


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseTimes:
    """Wall-clock time of the phases of one exchange.

    Attributes:
        encode_ms: Writing the inputs to the devices.
        run_ms: Running the network.
        decode_ms: Reading the devices back.
        wire_ms: Everything else that the client waited for.
        wait_ms: Time in a server between client and kernel; 0 where there is none.
    """

    encode_ms: float = 0.0
    run_ms: float = 0.0
    decode_ms: float = 0.0
    wire_ms: float = 0.0
    wait_ms: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Spikes:
    """Spikes of a stretch of time, sorted by time.

    Attributes:
        t_ms: Brain time since the start of the episode, float64[n].
        sender: NEST node id of the neuron, uint32[n].
    """

    t_ms: NDArray[np.float64]
    sender: NDArray[np.uint32]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Samples:
    """Samples of one monitor over a stretch of time.

    Attributes:
        monitor: Name of the monitor, as in ``Description.histories``.
        t_ms: Brain time since the start of the episode, ascending, float64[n].
        values: float64[n, columns].
    """

    monitor: str
    t_ms: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Readings:
    """What a brain gives back after a reset or a step.

    A model that a server drives leaves ``seq`` and ``t_ms`` alone: the server numbers the exchanges.

    Attributes:
        seq: Number of the step in its episode; 0 for the reset.
        t_ms: Brain time since the start of the episode, after this exchange.
        outputs: float32[output_size], in the order of ``Description.outputs``.
        spikes: The spikes since they were last handed out, which a brain may do every few exchanges; None in
            between, and where it does not record them.
        times: Where the wall-clock time went.
        samples: Samples of monitors since they were last handed out.
    """

    seq: int = 0
    t_ms: float = 0.0
    outputs: NDArray[np.float32]
    spikes: Spikes | None = None
    times: PhaseTimes = field(default_factory=PhaseTimes)
    samples: tuple[Samples, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SnapshotInfo:
    """A kept instant of an episode.

    Attributes:
        id: Its number, from 1.
        parent: The instant that its episode came from; 0 is the settled state.
        seq: Number of the last step before it.
        t_ms: Brain time since the start of the episode.
        seed: Seed of the episode's random numbers.
        restores: How often it was continued.
        pid: Process that holds it.
        private_bytes: Memory that this process has for itself, and that dropping the instant gives back.
        shared_bytes: Memory that it has in common with the settled network or other instants.
    """

    id: int
    parent: int
    seq: int
    t_ms: float
    seed: int
    restores: int
    pid: int
    private_bytes: int
    shared_bytes: int


def readings_digest(readings: Readings) -> bytes:
    """Return a digest of 8 bytes of the outputs and of the spikes that came with them."""
    digest = hashlib.sha256(np.asarray(readings.outputs, dtype="<f4").tobytes())
    if readings.spikes is not None:
        digest.update(np.asarray(readings.spikes.t_ms, dtype="<f8").tobytes())
        digest.update(np.asarray(readings.spikes.sender, dtype="<u4").tobytes())
    return digest.digest()[:_DIGEST_BYTES]


def exact_inputs(values: object, size: int) -> NDArray[np.float32]:
    """Return ``values`` as the float32 vector that travels.

    Args:
        values: Array or sequence of numbers.
        size: Length that the brain expects.

    Raises:
        ConfigurationError: The shape is another one, or a value is not a finite float32.
    """
    if type(values) is np.ndarray and values.dtype == FLOAT32:
        vector = values
    else:
        try:
            with np.errstate(over="ignore"):
                vector = np.asarray(values, dtype=FLOAT32)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"inputs must be numbers: {error}") from None
    check_inputs(vector, size)
    return vector


def check_inputs(vector: NDArray[np.float32], size: int) -> None:
    """Refuse inputs that the brain can't use.

    After a Run the caches are cold: the check of plain numbers touches less code than one in NumPy.

    Raises:
        ConfigurationError: The shape is not ``(size,)``, or a value is not finite.
    """
    if vector.shape != (size,):
        raise ConfigurationError(f"inputs have shape {vector.shape}, the brain expects ({size},)")
    if not all(map(math.isfinite, vector.tolist())):
        channel = int(np.flatnonzero(~np.isfinite(vector))[0])
        raise ConfigurationError(f"input channel {channel} is {vector[channel]}; every input must be finite")
