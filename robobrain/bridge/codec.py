"""Conversion between the dataclasses of :mod:`robobrain.bridge.messages` and protobuf."""

from __future__ import annotations

from dataclasses import fields
from typing import TypeVar

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from robobrain.bridge.messages import (
    FLOAT32,
    PROTOCOL_VERSION,
    Description,
    History,
    PhaseTimes,
    PopulationInfo,
    Port,
    Readings,
    Resets,
    Samples,
    SnapshotInfo,
    Spikes,
)
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import BrainFault, ConfigurationError, ProtocolError, SnapshotFault

Envelope = TypeVar("Envelope", pb.Request, pb.Reply)

_RESETS = {
    Resets.COPY: pb.RESET_METHOD_COPY,
    Resets.REINITIALISATION: pb.RESET_METHOD_REINITIALISATION,
}


def parse(kind: type[Envelope], payload: bytes) -> Envelope:
    """Return the envelope in ``payload``.

    Raises:
        ProtocolError: The bytes are no such message, or one without content.
    """
    try:
        envelope = kind.FromString(payload)
    except DecodeError as error:
        raise ProtocolError(f"{len(payload)} bytes are no {kind.__name__}: {error}") from None
    if envelope.WhichOneof("kind") is None:
        raise ProtocolError(f"a {kind.__name__} without a known content; are both ends the same version?")
    return envelope


def check_version(theirs: str) -> None:
    """Refuse another major version.

    Raises:
        ProtocolError: Both versions are named.
    """
    if theirs.partition(".")[0] != PROTOCOL_VERSION.partition(".")[0]:
        raise ProtocolError(
            f"the other end speaks protocol {theirs or 'unknown'!r}, this end {PROTOCOL_VERSION!r}; "
            "install the same major version of robobrain on both"
        )


def encode_description(description: Description) -> pb.Description:
    """Return ``description`` as a message."""
    return pb.Description(
        protocol_version=description.protocol_version,
        identity=description.identity,
        brain=description.brain,
        nest_version=description.nest_version,
        ranks=description.ranks,
        threads=description.threads,
        resolution_ms=description.resolution_ms,
        exchange_ms=description.exchange_ms,
        settle_ms=description.settle_ms,
        neurons=description.neurons,
        synapses=description.synapses,
        inputs=[_encode_port(port) for port in description.inputs],
        outputs=[_encode_port(port) for port in description.outputs],
        populations=[
            pb.PopulationInfo(name=one.name, region=one.region, first_id=one.first_id, size=one.size)
            for one in description.populations
        ],
        build=[pb.BuildPhase(name=name, duration_ms=ms) for name, ms in description.build_ms.items()],
        histories=[
            pb.History(
                name=one.name,
                unit=one.unit,
                columns=one.columns,
                interval_ms=one.interval_ms,
                description=one.description,
            )
            for one in description.histories
        ],
        snapshot_limit=description.snapshot_limit,
        resets=_RESETS[description.resets],
        neuron_models=description.neuron_models,
    )


def _encode_port(port: Port) -> pb.Port:
    return pb.Port(
        name=port.name,
        unit=port.unit,
        channels=port.channels,
        low=port.low,
        high=port.high,
        description=port.description,
    )


def decode_description(message: pb.Description) -> Description:
    """Return the description in ``message``."""
    return Description(
        protocol_version=message.protocol_version,
        identity=message.identity,
        brain=message.brain,
        nest_version=message.nest_version,
        ranks=message.ranks,
        threads=message.threads,
        resolution_ms=message.resolution_ms,
        exchange_ms=message.exchange_ms,
        settle_ms=message.settle_ms,
        neurons=message.neurons,
        synapses=message.synapses,
        inputs=tuple(_decode_port(port) for port in message.inputs),
        outputs=tuple(_decode_port(port) for port in message.outputs),
        populations=tuple(
            PopulationInfo(name=one.name, region=one.region, first_id=one.first_id, size=one.size)
            for one in message.populations
        ),
        build_ms={phase.name: phase.duration_ms for phase in message.build},
        histories=tuple(
            History(
                name=one.name,
                unit=one.unit,
                columns=tuple(one.columns),
                interval_ms=one.interval_ms,
                description=one.description,
            )
            for one in message.histories
        ),
        snapshot_limit=message.snapshot_limit,
        resets=next((kind for kind, code in _RESETS.items() if code == message.resets), Resets.COPY),
        neuron_models=message.neuron_models or "nest",
    )


def _decode_port(message: pb.Port) -> Port:
    return Port(
        name=message.name,
        unit=message.unit,
        channels=tuple(message.channels),
        low=message.low,
        high=message.high,
        description=message.description,
    )


def encode_readings(readings: Readings, seq: int, t_ms: float) -> pb.Readings:
    """Return ``readings`` as the message of exchange ``seq``, which ended at ``t_ms``."""
    spikes, times = readings.spikes, readings.times
    return pb.Readings(
        seq=seq,
        t_ms=t_ms,
        outputs=np.asarray(readings.outputs, dtype=FLOAT32).tobytes(),
        spikes=None if spikes is None else encode_spikes(spikes),
        timing=pb.Timing(encode_ms=times.encode_ms, run_ms=times.run_ms, decode_ms=times.decode_ms),
        samples=[encode_samples(samples) for samples in readings.samples],
    )


def encode_samples(samples: Samples) -> pb.Samples:
    """Return ``samples`` as a message."""
    return pb.Samples(
        monitor=samples.monitor,
        t_ms=np.asarray(samples.t_ms, dtype="<f8").tobytes(),
        values=np.asarray(samples.values, dtype="<f8").tobytes(),
    )


def encode_spikes(spikes: Spikes) -> pb.Spikes:
    """Return ``spikes`` as a message."""
    return pb.Spikes(
        t_ms=np.asarray(spikes.t_ms, dtype="<f8").tobytes(),
        sender=np.asarray(spikes.sender, dtype="<u4").tobytes(),
    )


def decode_readings(message: pb.Readings, output_size: int, total_ms: float) -> Readings:
    """Return the readings in ``message`` as arrays of the caller's own.

    Args:
        message: What the brain sent.
        output_size: Number of outputs that the brain announced.
        total_ms: Time that the client waited, from which the time on the wire follows.

    Raises:
        ProtocolError: An array has another size.
    """
    timing = message.timing
    accounted_ms = timing.encode_ms + timing.run_ms + timing.decode_ms + timing.wait_ms
    outputs = unpack_float32(message.outputs)
    if outputs.size != output_size:
        raise ProtocolError(f"the brain sent {outputs.size} outputs, it announced {output_size}")
    return Readings(
        seq=message.seq,
        t_ms=message.t_ms,
        outputs=outputs,
        spikes=_decode_spikes(message.spikes) if message.HasField("spikes") else None,
        times=PhaseTimes(
            encode_ms=timing.encode_ms,
            run_ms=timing.run_ms,
            decode_ms=timing.decode_ms,
            wire_ms=total_ms - accounted_ms,
            wait_ms=timing.wait_ms,
        ),
        samples=tuple(map(_decode_samples, message.samples)),
    )


def _decode_samples(message: pb.Samples) -> Samples:
    number = len(message.t_ms) // 8
    if len(message.t_ms) % 8 or len(message.values) % (8 * max(number, 1)):
        raise ProtocolError(
            f"samples of {message.monitor!r}: {len(message.values)} bytes of values do not match "
            f"{len(message.t_ms)} of times"
        )
    values = np.frombuffer(message.values, dtype="<f8").copy()
    return Samples(
        monitor=message.monitor,
        t_ms=np.frombuffer(message.t_ms, dtype="<f8").copy(),
        values=values.reshape(number, -1) if number else values.reshape(0, 0),
    )


def _decode_spikes(message: pb.Spikes) -> Spikes:
    if len(message.t_ms) != 2 * len(message.sender) or len(message.sender) % 4:
        raise ProtocolError(
            f"{len(message.t_ms)} bytes of spike times do not match {len(message.sender)} of senders"
        )
    return Spikes(
        t_ms=np.frombuffer(message.t_ms, dtype="<f8").copy(),
        sender=np.frombuffer(message.sender, dtype="<u4").copy(),
    )


def encode_snapshot(info: SnapshotInfo) -> pb.SnapshotInfo:
    """Return ``info`` as a message."""
    return pb.SnapshotInfo(**{name: getattr(info, name) for name in _SNAPSHOT_FIELDS})


def decode_snapshot(message: pb.SnapshotInfo) -> SnapshotInfo:
    """Return the kept instant in ``message``."""
    return SnapshotInfo(**{name: getattr(message, name) for name in _SNAPSHOT_FIELDS})


_SNAPSHOT_FIELDS = tuple(field.name for field in fields(SnapshotInfo))


def unpack_float32(packed: bytes) -> NDArray[np.float32]:
    """Return the numbers in ``packed`` as a fresh array.

    Raises:
        ProtocolError: The length is no multiple of 4.
    """
    if len(packed) % 4:
        raise ProtocolError(f"{len(packed)} bytes are no float32 array")
    return np.frombuffer(bytearray(packed), FLOAT32)


def encode_fault(error: Exception) -> pb.Fault:
    """Return ``error`` as the fault that makes the other end raise its like."""
    if isinstance(error, ConfigurationError):
        code = pb.FAULT_CODE_CONFIGURATION
    elif isinstance(error, ProtocolError):
        code = pb.FAULT_CODE_PROTOCOL
    elif isinstance(error, SnapshotFault):
        code = pb.FAULT_CODE_SNAPSHOT
    else:
        code = pb.FAULT_CODE_BRAIN_LOST
    return pb.Fault(code=code, message=str(error) or type(error).__name__)


def decode_fault(fault: pb.Fault) -> BrainFault | ConfigurationError:
    """Return the exception that ``fault`` stands for."""
    if fault.code == pb.FAULT_CODE_CONFIGURATION:
        return ConfigurationError(fault.message)
    if fault.code == pb.FAULT_CODE_PROTOCOL:
        return ProtocolError(fault.message)
    if fault.code == pb.FAULT_CODE_SNAPSHOT:
        return SnapshotFault(fault.message)
    return BrainFault(fault.message)
