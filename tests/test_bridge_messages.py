from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from bridge_kernels import DESCRIPTION
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from robobrain.bridge.codec import (
    check_version,
    decode_description,
    decode_fault,
    decode_readings,
    encode_description,
    encode_fault,
    encode_readings,
    parse,
    unpack_float32,
)
from robobrain.bridge.messages import (
    PROTOCOL_VERSION,
    Description,
    PhaseTimes,
    PopulationInfo,
    Port,
    Readings,
    Spikes,
    exact_inputs,
)
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import BrainFault, ConfigurationError, ProtocolError

names = st.text(max_size=8)
finite = st.floats(allow_nan=False)
counts = st.integers(0, 2**32 - 1)
ports = st.builds(
    Port,
    name=names,
    unit=names,
    channels=st.lists(names, max_size=4).map(tuple),
    low=finite,
    high=finite,
    description=names,
)
descriptions = st.builds(
    Description,
    protocol_version=names,
    identity=names,
    brain=names,
    nest_version=names,
    ranks=counts,
    threads=counts,
    resolution_ms=finite,
    exchange_ms=finite,
    settle_ms=finite,
    neurons=counts,
    synapses=counts,
    inputs=st.lists(ports, max_size=3).map(tuple),
    outputs=st.lists(ports, max_size=3).map(tuple),
    populations=st.lists(
        st.builds(PopulationInfo, name=names, region=names, first_id=counts, size=counts), max_size=3
    ).map(tuple),
    build_ms=st.dictionaries(names, finite, max_size=3),
)


@given(descriptions)
def test_description_survives_the_wire(description: Description) -> None:
    wire = encode_description(description).SerializeToString()
    returned = decode_description(pb.Description.FromString(wire))
    assert returned == description
    assert list(returned.build_ms) == list(description.build_ms)


@given(
    outputs=hnp.arrays(np.float32, st.integers(0, 50)),
    t_ms=hnp.arrays(np.float64, 7),
    sender=hnp.arrays(np.uint32, 7),
    seq=st.integers(0, 2**63),
    run_ms=st.floats(0, 1e6),
)
def test_readings_survive_the_wire_bit_by_bit(
    outputs: np.ndarray, t_ms: np.ndarray, sender: np.ndarray, seq: int, run_ms: float
) -> None:
    readings = Readings(
        outputs=outputs, spikes=Spikes(t_ms=t_ms, sender=sender), times=PhaseTimes(run_ms=run_ms)
    )
    wire = encode_readings(readings, seq, 10.0 * seq).SerializeToString()
    returned = decode_readings(pb.Readings.FromString(wire), outputs.size, total_ms=run_ms + 1.0)
    assert (returned.seq, returned.t_ms, returned.times.run_ms) == (seq, 10.0 * seq, run_ms)
    assert returned.times.wire_ms == pytest.approx(1.0, abs=1e-6)
    assert returned.outputs.tobytes() == outputs.tobytes()
    assert returned.spikes is not None
    assert returned.spikes.t_ms.tobytes() == t_ms.tobytes()
    assert returned.spikes.sender.tobytes() == sender.tobytes()
    assert (returned.spikes.t_ms.dtype, returned.spikes.sender.dtype) == (np.float64, np.uint32)


def test_a_brain_without_a_spike_record_differs_from_a_silent_one() -> None:
    silent = Spikes(t_ms=np.empty(0), sender=np.empty(0, np.uint32))
    for spikes in (None, silent):
        message = encode_readings(Readings(outputs=np.zeros(1, np.float32), spikes=spikes), 1, 10.0)
        returned = decode_readings(pb.Readings.FromString(message.SerializeToString()), 1, 0.0)
        assert (returned.spikes is None) == (spikes is None)


def test_arrays_are_the_readers_own_and_not_views() -> None:
    message = encode_readings(
        Readings(
            outputs=np.ones(3, np.float32), spikes=Spikes(t_ms=np.ones(2), sender=np.ones(2, np.uint32))
        ),
        1,
        10.0,
    )
    first, second = decode_readings(message, 3, 0.0), decode_readings(message, 3, 0.0)
    assert first.spikes is not None
    for array in (first.outputs, first.spikes.t_ms, first.spikes.sender):
        assert array.flags.writeable
        array[:] = 9
    assert second.outputs.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "message",
    [
        pb.Readings(outputs=b"123"),
        pb.Readings(outputs=b"1234" * 2),
        pb.Readings(outputs=b"1234", spikes=pb.Spikes(t_ms=b"1" * 8)),
        pb.Readings(outputs=b"1234", spikes=pb.Spikes(t_ms=b"1" * 6, sender=b"1" * 3)),
    ],
)
def test_arrays_of_the_wrong_size_are_refused(message: pb.Readings) -> None:
    with pytest.raises(ProtocolError, match=r"bytes|outputs"):
        decode_readings(message, 1, 0.0)


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_parser(payload: bytes) -> None:
    for kind in (pb.Request, pb.Reply):
        with contextlib.suppress(ProtocolError):
            assert parse(kind, payload).WhichOneof("kind") is not None


def test_messages_of_a_later_schema_without_known_content_are_refused() -> None:
    with pytest.raises(ProtocolError, match="same version"):
        parse(pb.Request, pb.Request(id=3).SerializeToString())


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConfigurationError("bad"), ConfigurationError),
        (ProtocolError("gap"), ProtocolError),
        (ValueError("oops"), BrainFault),
    ],
)
def test_a_fault_raises_the_like_of_what_was_raised(error: Exception, kind: type[Exception]) -> None:
    returned = decode_fault(encode_fault(error))
    assert type(returned) is kind
    assert str(returned) == str(error)


def test_another_major_version_is_refused_and_both_are_named() -> None:
    check_version("1.7")
    with pytest.raises(ProtocolError, match=f"2.0.*{PROTOCOL_VERSION}"):
        check_version("2.0")
    with pytest.raises(ProtocolError, match="unknown"):
        check_version("")


def test_slices_follow_the_order_of_the_ports() -> None:
    assert (DESCRIPTION.input_size, DESCRIPTION.output_size) == (3, 2)
    assert DESCRIPTION.input_slice("left") == slice(0, 2)
    assert DESCRIPTION.input_slice("right") == slice(2, 3)
    assert DESCRIPTION.output_slice("sum") == slice(0, 2)
    with pytest.raises(ConfigurationError, match=r"no input 'middle'.*left, right"):
        DESCRIPTION.input_slice("middle")
    with pytest.raises(ConfigurationError, match="outputs are: none"):
        replace(DESCRIPTION, outputs=()).output_slice("sum")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([1.0, 2.0], r"shape \(2,\)"),
        ([[1.0, 2.0, 3.0]], "shape"),
        (1.0, "shape"),
        ([1.0, np.nan, 2.0], "channel 1 is nan"),
        ([1.0, 2.0, -np.inf], "channel 2 is -inf"),
        ([1e300, 2.0, 3.0], "channel 0 is inf"),
        (["a", 2.0, 3.0], "numbers"),
        ([[1.0], [2.0, 3.0]], "numbers"),
        (None, "shape|nan|numbers"),
    ],
)
def test_unusable_inputs_are_refused(values: object, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        exact_inputs(values, 3)


def test_strided_and_foreign_endian_inputs_are_packed_in_order() -> None:
    values = np.arange(6, dtype=">f8")[::2]
    assert unpack_float32(exact_inputs(values, 3).tobytes()).tolist() == [0.0, 2.0, 4.0]
