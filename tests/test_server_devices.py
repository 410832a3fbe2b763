"""Devices and kept instants of a session: as on a local brain, and gone with the session."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
import pytest
from bridge_processes import settled_group
from server_tools import Front, Proxy, RawClient, refusal, wait_for

from robobrain.brain.config import kernel_config
from robobrain.brain.devices import to_text
from robobrain.brain.interfaces import parse_devices
from robobrain.brain.kernel import kernel_command
from robobrain.bridge import BranchingLink, LocalBrain, Readings
from robobrain.bridge.administration import ServerLink
from robobrain.bridge.branching import OverlappingLink
from robobrain.bridge.remote import RemoteBrain
from robobrain.bridge.server.devices import DeviceLimits
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.bridge.v1 import service_pb2 as spb
from robobrain.errors import BrainFault, ConfigurationError, SnapshotFault

pytestmark = pytest.mark.slow

COMMAND = kernel_command(asdict(kernel_config("tiny", threads=1, record_spikes=True)))
FROM = {"assumed": "test"}
DECLARED = {
    "inputs": [
        {
            "name": "drive",
            "unit": "1",
            "description": "drives S1",
            "channels": ["a"],
            "low": 0.0,
            "high": 1.0,
            "encoder": {"rate": {"gain_hz_per_unit": 100.0, "max_hz": 100.0}},
            "targets": [{"region": "S1", "layer": "L5B", "weight_nS": 5.0}],
            "provenance": FROM,
        }
    ],
    "rhythms": [{"name": "theta", "frequency_hz": 8.0, "amplitude": 2.0, "unit": "mV", "provenance": FROM}],
    "fields": [
        {
            "name": "lfp",
            "signal": "potential",
            "groups": {"M1": [{"population": "M1_L23_CC"}]},
            "interval_ms": 2.0,
            "provenance": FROM,
        }
    ],
    "history_ms": 20.0,
}
DEVICES = to_text(parse_devices("test", DECLARED))


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with Front(command=COMMAND, stall_s=20.0, lease_s=5.0) as one:
        yield one


@pytest.fixture(scope="module")
def local() -> Iterator[LocalBrain]:
    with LocalBrain(COMMAND) as one:
        yield one


@pytest.fixture
def remote(front: Front) -> Iterator[RemoteBrain]:
    wait_for(lambda: not seat(front).client)
    with RemoteBrain(front.address) as one:
        yield one


def seat(front: Front) -> spb.Seat:
    with ServerLink(front.address) as link:
        return link.status().seats[0]


def drive(brain: RemoteBrain | LocalBrain, steps: int) -> list[Readings]:
    inputs = np.linspace(0.0, 1.0, brain.description.input_size)
    return [brain.step(inputs * (number % 3)) for number in range(steps)]


def content(answers: Sequence[Readings]) -> list[object]:
    """Return all that the brain gave, exactly; times of the clock left out."""
    return [
        (
            one.seq,
            one.t_ms,
            one.outputs.tobytes(),
            None if one.spikes is None else (one.spikes.t_ms.tobytes(), one.spikes.sender.tobytes()),
            [(samples.monitor, samples.t_ms.tobytes(), samples.values.tobytes()) for samples in one.samples],
        )
        for one in answers
    ]


def test_devices_over_grpc_are_those_of_a_local_brain(local: LocalBrain, remote: RemoteBrain) -> None:
    bare, courses = remote.description, []
    for brain in (local, remote):
        about = brain.configure(DEVICES)
        assert about.inputs[-1].name == "drive"
        assert about.histories[0].columns == ("M1",)
        answers = [brain.reset(3), *drive(brain, 6), brain.collect_all()]
        assert sum(len(one.samples) for one in answers) >= 3
        courses.append(content(answers))
    assert courses[0] == courses[1]
    assert remote.description.histories == local.description.histories
    plain = []
    for brain in (local, remote):
        assert brain.configure("").inputs == bare.inputs
        plain.append(content([brain.reset(3), *drive(brain, 4)]))
    assert plain[0] == plain[1]
    assert plain[0][1:] != courses[0][1:5]


def test_devices_are_refused_in_the_same_words_and_those_of_before_stay(
    local: LocalBrain, remote: RemoteBrain
) -> None:
    wrong = [
        "no json",
        '{"rhythms": [{"name": "theta"}]}',
        DEVICES.replace('"S1"', '"S9"'),
        json.dumps(json.loads(DEVICES) | {"import": "os"}),
    ]
    for text in wrong:
        messages = []
        for brain in (local, remote):
            brain.configure(DEVICES)
            brain.reset(1)
            with pytest.raises(ConfigurationError) as refused:
                brain.configure(text)
            messages.append(str(refused.value))
            with pytest.raises(ConfigurationError, match=r"reset\(seed\)"):
                brain.step(np.zeros(brain.description.input_size))
            assert brain.description.inputs[-1].name == "drive"
            brain.reset(1)
            assert brain.step(np.zeros(brain.description.input_size)).seq == 1
        assert messages[0] == messages[1]


def test_the_next_client_finds_the_brain_as_it_was_served(local: LocalBrain, front: Front) -> None:
    local.configure("")
    expected = content([local.reset(5), *drive(local, 3)])
    wait_for(lambda: not seat(front).client)
    with RemoteBrain(front.address) as first:
        first.configure(DEVICES)
        first.reset(1)
        assert [first.snapshot(), first.snapshot()] == [1, 2]
    with RemoteBrain(front.address) as second:
        assert "drive" not in {port.name for port in second.description.inputs}
        assert content([second.reset(5), *drive(second, 3)]) == expected
        assert second.snapshots() == ()
        with pytest.raises(ConfigurationError, match="there is no snapshot 1; there are: none"):
            second.restore(1)
        assert second.snapshot() == 1
        second.drop(1)


def test_another_kernel_gets_the_sessions_devices_and_has_none_of_its_instants(
    local: LocalBrain, front: Front, remote: RemoteBrain
) -> None:
    local.configure(DEVICES)
    expected = content([local.reset(2), *drive(local, 3)])
    remote.configure(DEVICES)
    remote.reset(2)
    lost = remote.snapshot()
    os.killpg(seat(front).pid, signal.SIGKILL)
    with pytest.raises(BrainFault, match="signal 9"):
        drive(remote, 1000)
    assert content([remote.reset(2), *drive(remote, 3)]) == expected
    with pytest.raises(SnapshotFault, match=f"snapshot {lost} was lost with the brain's process"):
        remote.restore(lost)
    assert remote.step(np.zeros(remote.description.input_size)).seq == 4
    assert remote.snapshot() == lost + 1


def test_a_client_that_lost_its_session_gets_its_devices_again(front: Front, remote: RemoteBrain) -> None:
    remote.configure(DEVICES)
    expected = content([remote.reset(4), *drive(remote, 3)])
    session = remote._session.metadata
    with RawClient(front.address) as raw:
        raw.stub.Release(spb.ReleaseRequest(), metadata=session)
    with pytest.raises(BrainFault, match="the session was ended"):
        drive(remote, 1000)
    assert content([remote.reset(4), *drive(remote, 3)]) == expected


def test_a_server_takes_no_more_devices_than_it_says(remote: RemoteBrain) -> None:
    limits = DeviceLimits()
    rhythm = {"name": "\u3042" * 43, "frequency_hz": 8.0, "amplitude": 1.0, "provenance": "test"}
    many = json.dumps({"rhythms": [{"name": f"r{number}"} for number in range(limits.entries)]})
    for text, message in {
        " " * (limits.text_bytes + 1): "bytes of text; this server takes 262144",
        many: "4097 entries; this server takes 4096",
        json.dumps({"rhythms": [{"name": "x" * 129}]}): "has 129 characters; this server takes 128",
        json.dumps({"rhythms": [rhythm]}): "has 129 bytes in UTF-8 and must have at most 128",
        "[" * 200_000: "nested too deeply",
    }.items():
        with pytest.raises(ConfigurationError, match=message):
            remote.configure(text)
    remote.reset(1)
    assert remote.step(np.zeros(remote.description.input_size)).seq == 1


def test_a_single_call_configures_too(front: Front) -> None:
    wait_for(lambda: not seat(front).client)
    with RawClient(front.address) as raw:
        session = raw.open()
        about = raw.stub.Configure(pb.Configure(devices=DEVICES), metadata=session)
        assert about.inputs[-1].name == "drive"
        wrong = pb.Configure(devices="{")
        assert refusal(lambda: raw.stub.Configure(wrong, metadata=session)).code().name == "INVALID_ARGUMENT"
        assert raw.stub.Reset(pb.Reset(seed=1), metadata=session).seq == 0
        raw.stub.Release(spb.ReleaseRequest(), metadata=session)


def test_instants_continue_bit_by_bit_over_grpc(local: LocalBrain, remote: RemoteBrain) -> None:
    courses = []
    for brain in (local, remote):
        assert isinstance(brain, BranchingLink)
        assert brain.description.snapshot_limit == 16
        brain.configure(DEVICES)
        brain.reset(9)
        drive(brain, 4)
        instant = brain.snapshot()
        onward = content(drive(brain, 5))
        again = brain.restore(instant)
        assert (again.seq, again.t_ms) == (4, 40.0)
        assert content(drive(brain, 5)) == onward
        brain.restore(instant, seed=12)
        other = content(drive(brain, 5))
        assert other != onward
        brain.restore(instant, silence=["M1"])
        lesioned = content(drive(brain, 5))
        (kept,) = brain.snapshots()
        assert (kept.id, kept.seq, kept.restores) == (instant, 4, 3)
        assert kept.private_bytes > 0
        brain.drop(instant)
        assert brain.snapshots() == ()
        with pytest.raises(ConfigurationError, match=f"no snapshot {instant}|snapshot {instant} is gone"):
            brain.restore(instant)
        courses.append((onward, other, lesioned))
    assert courses[0] == courses[1]


def test_instants_beyond_the_limit_are_given_up(remote: RemoteBrain, front: Front) -> None:
    remote.reset(1)
    limit = remote.description.snapshot_limit
    kernel = seat(front).pid
    numbers = [remote.snapshot() for _ in range(limit + 2)]
    assert [info.id for info in remote.snapshots()] == numbers[2:]
    with pytest.raises(ConfigurationError, match=f"snapshot {numbers[0]} is gone"):
        remote.restore(numbers[0])
    assert drive(remote, 1)[0].seq == 1
    assert len(settled_group(kernel, 2 + limit)) == 2 + limit
    remote.close()
    assert len(settled_group(kernel, 2)) == 2


def test_a_holder_that_is_lost_leaves_the_episode_alone(remote: RemoteBrain) -> None:
    remote.reset(1)
    remote.drop(remote.snapshot())
    number = remote.snapshot()
    os.kill(remote.snapshots()[0].pid, signal.SIGKILL)
    with pytest.raises(SnapshotFault, match=f"snapshot {number} "):
        remote.restore(number)
    assert drive(remote, 2)[-1].seq == 2


def test_a_brain_computes_while_its_user_does_something_else(local: LocalBrain, remote: RemoteBrain) -> None:
    courses = []
    for brain in (local, remote):
        assert isinstance(brain, OverlappingLink)
        brain.configure("")
        first = content([brain.reset(6), *drive(brain, 5)])
        brain.reset(6)
        inputs = np.linspace(0.0, 1.0, brain.description.input_size)
        with pytest.raises(ConfigurationError, match="no step is under way"):
            brain.finish_step()
        answers = []
        brain.begin_step(0 * inputs)
        for number in range(1, 5):
            brain.begin_step(inputs * (number % 3))
            for call in (brain.collect, brain.snapshot, brain.snapshots):
                with pytest.raises(ConfigurationError, match="a step is under way"):
                    call()
            with pytest.raises(ConfigurationError, match="a step is under way"):
                brain.begin_step(inputs)
            answers.append(brain.finish_step())
        answers.append(brain.finish_step())
        assert content(answers) == first[1:]
        assert all(one.times.wire_ms >= 0.0 for one in answers)
        brain.begin_step(inputs)
        brain.begin_step(inputs)
        assert content([brain.reset(6), *drive(brain, 5)]) == first
        courses.append(first)
    assert courses[0] == courses[1]


def test_steps_under_way_survive_a_cut_connection(front: Front) -> None:
    wait_for(lambda: not seat(front).client)
    with Proxy(front.address) as proxy, RemoteBrain(proxy.address) as brain:
        expected = content([brain.reset(6), *drive(brain, 8)])
        inputs = np.linspace(0.0, 1.0, brain.description.input_size)
        answers = [brain.reset(6)]
        brain.begin_step(0 * inputs)
        for number in range(1, 8):
            brain.begin_step(inputs * (number % 3))
            if number % 2:
                proxy.cut()
            answers.append(brain.finish_step())
        answers.append(brain.finish_step())
    assert content(answers) == expected
