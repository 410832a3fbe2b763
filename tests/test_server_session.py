from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from queue import SimpleQueue

import grpc
import numpy as np
import pytest
from bridge_kernels import DESCRIPTION
from bridge_processes import wait_until_gone
from server_tools import KERNEL, Front, RawClient, refusal, wait_for

from robobrain.bridge import BrainLink, LocalBrain
from robobrain.bridge.administration import ServerLink
from robobrain.bridge.remote import RemoteBrain
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.bridge.v1 import service_pb2 as spb
from robobrain.errors import BrainFault, ConfigurationError, ProtocolError

State = spb.Seat


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with Front() as one:
        yield one


def seats(front: Front) -> list[spb.Seat]:
    with ServerLink(front.address) as link:
        return list(link.status().seats)


def step(seq: int, *inputs: float) -> pb.Step:
    return pb.Step(seq=seq, t_ms=10.0 * (seq - 1), inputs=np.array(inputs, dtype="<f4").tobytes())


def test_a_remote_brain_answers_as_a_local_one(front: Front) -> None:
    with LocalBrain(KERNEL) as local, RemoteBrain(front.address) as remote:
        links: list[BrainLink] = [local, remote]
        assert remote.description == DESCRIPTION
        for seed in (4, 5):
            answers = [[link.reset(seed), *(link.step([i, 0.5, 2.0]) for i in range(20))] for link in links]
            for one, other in zip(*answers, strict=True):
                assert (one.seq, one.t_ms) == (other.seq, other.t_ms)
                assert np.array_equal(one.outputs, other.outputs)
                if one.seq == 0:  # no time has passed yet
                    assert one.spikes is other.spikes is None
                    continue
                assert one.spikes is not None
                assert other.spikes is not None
                assert np.array_equal(one.spikes.t_ms, other.spikes.t_ms)
                assert np.array_equal(one.spikes.sender, other.spikes.sender)
            collected = [link.collect() for link in links]
            assert [None if one is None else one.t_ms.tolist() for one in collected] == [
                [answers[0][-1].outputs[1] + 1.0]
            ] * 2


def test_phase_times_come_with_each_reply(front: Front) -> None:
    with RemoteBrain(front.address) as brain:
        brain.reset(1)
        times = brain.step([1, 2, 3]).times
    assert times.wait_ms > 0.0
    assert times.wire_ms > 0.0


def test_the_kernel_has_the_next_step_before_it_has_answered_the_first(front: Front) -> None:
    with RemoteBrain(front.address) as brain:
        brain.reset(0)
        brain.begin_step([333, 0, 0])
        brain.begin_step([1, 0, 0])
        assert [brain.finish_step().outputs.tolist() for _ in range(2)] == [[333.0, 333.0], [1.0, 334.0]]


def test_the_loss_of_an_episode_ends_the_step_that_is_under_way_behind_it_too(front: Front) -> None:
    with RemoteBrain(front.address) as brain:
        brain.reset(0)
        brain.begin_step([666, 0, 0])
        brain.begin_step([1, 0, 0])
        with pytest.raises(BrainFault, match="the model broke"):
            brain.finish_step()
        brain.reset(2)
        assert brain.step([1, 0, 0]).outputs.tolist() == [1.0, 3.0]


def test_misuse_is_refused_as_by_a_local_brain(front: Front) -> None:
    with RemoteBrain(front.address) as brain:
        with pytest.raises(ConfigurationError, match=r"reset\(seed\)"):
            brain.step([1, 2, 3])
        with pytest.raises(ConfigurationError, match="seed"):
            brain.reset(-1)
        brain.reset(0)
        with pytest.raises(ConfigurationError, match="input"):
            brain.step([1, 2])
        with pytest.raises(ConfigurationError, match="13 is no seed of mine"):
            brain.reset(13)
        brain.reset(1)
        assert brain.step([1, 0, 0]).outputs.tolist() == [1.0, 2.0]
    brain.close()
    for call in (lambda: brain.reset(0), lambda: brain.step([1, 2, 3])):
        with pytest.raises(BrainFault, match="closed"):
            call()


def test_a_second_client_hears_who_has_the_brain_since_when(front: Front) -> None:
    with RemoteBrain(front.address, client="Ada's laptop") as first:
        first.reset(0)
        with pytest.raises(BrainFault, match=r"in use: Ada's laptop since 20\d\d-.* \(connected\)"):
            RemoteBrain(front.address, client="Bob")
        assert first.step([1, 0, 0]).seq == 1
    wait_for(lambda: seats(front)[0].state == State.STATE_IDLE)
    with RemoteBrain(front.address, client="Bob") as second:
        assert second.reset(3).outputs.tolist() == [0.0, 3.0]


@pytest.mark.slow
def test_a_vanished_client_loses_its_lease_and_the_brain_goes_back_to_its_start() -> None:
    script = (
        "import sys, time; from robobrain.bridge.remote import RemoteBrain; b = RemoteBrain(sys.argv[1]);"
        "b.reset(1); b.step([1, 2, 3]); print('ready', flush=True); time.sleep(100)"
    )
    with Front(lease_s=2.0) as front:
        client = subprocess.Popen(
            [sys.executable, "-c", script, front.address], stdout=subprocess.PIPE, text=True
        )
        with client:
            assert client.stdout is not None
            assert client.stdout.readline() == "ready\n"
            assert seats(front)[0].connected
            client.kill()
        wait_for(lambda: not seats(front)[0].connected)
        with pytest.raises(BrainFault, match="away, its lease of 2 s runs out"):
            RemoteBrain(front.address)
        wait_for(lambda: seats(front)[0].state == State.STATE_IDLE)
        with RemoteBrain(front.address) as brain, pytest.raises(ConfigurationError, match="reset"):
            brain.step([1, 2, 3])


def test_a_connected_client_may_pause_for_longer_than_its_lease() -> None:
    with Front(lease_s=0.2) as front, RemoteBrain(front.address) as brain:
        brain.reset(0)
        pause = threading.Event()
        pause.wait(1.0)
        assert brain.step([1, 0, 0]).seq == 1


def test_a_repeated_request_is_answered_once_also_on_another_stream(front: Front) -> None:
    with RawClient(front.address) as raw:
        session = raw.open()
        requests = [
            pb.Request(id=1, reset=pb.Reset(seed=0)),
            pb.Request(id=2, step=step(1, 5.0, 0.0, 0.0)),
            pb.Request(id=2, step=step(1, 5.0, 0.0, 0.0)),
        ]
        _, first, again = raw.exchange(session, *requests)
        assert first == again
        (elsewhere,) = raw.exchange(session, requests[-1])
        assert elsewhere == first
        collect = pb.Request(id=3, collect=pb.Collect())
        assert raw.exchange(session, collect) == raw.exchange(session, collect)
        (old,) = raw.exchange(session, requests[0])
        assert old.fault.code == pb.FAULT_CODE_PROTOCOL
        raw.stub.Release(spb.ReleaseRequest(), metadata=session)


def test_single_calls_step_and_a_repeated_step_runs_once(front: Front) -> None:
    with RawClient(front.address) as raw:
        wait_for(lambda: seats(front)[0].state == State.STATE_IDLE)
        session = raw.open()
        assert refusal(lambda: raw.stub.Step(step(1, 1, 1, 1), metadata=session)).code() == (
            grpc.StatusCode.INVALID_ARGUMENT
        )
        raw.stub.Reset(pb.Reset(seed=2), metadata=session)
        for _ in range(2):
            readings = raw.stub.Step(step(1, 5.0, 0.0, 0.0), metadata=session)
            assert np.frombuffer(readings.outputs, "<f4").tolist() == [5.0, 7.0]
        gap = refusal(lambda: raw.stub.Step(step(7, 1, 1, 1), metadata=session))
        assert gap.code() == grpc.StatusCode.FAILED_PRECONDITION
        raw.stub.Release(spb.ReleaseRequest(), metadata=session)
        gone = refusal(lambda: raw.stub.Step(step(2, 1, 1, 1), metadata=session))
        assert gone.code() == grpc.StatusCode.NOT_FOUND
        assert "open another" in gone.details()


def test_another_major_version_is_refused_with_both_named(front: Front) -> None:
    with RawClient(front.address) as raw:
        wait_for(lambda: seats(front)[0].state == State.STATE_IDLE)
        for call in (
            lambda: raw.open(version="2.1"),
            lambda: raw.stub.Describe(pb.Describe(protocol_version="2.1")),
        ):
            error = refusal(call)
            assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
            assert "'2.1'" in error.details()
            assert "'1.0'" in error.details()
        assert raw.stub.Describe(pb.Describe(protocol_version="1.9")).brain == "sum"


def test_fields_that_the_server_does_not_know_are_ignored(front: Front) -> None:
    newer = pb.Describe(protocol_version="1.7").SerializeToString() + b"\xfa\x3f\x05later"  # field 1023
    with grpc.insecure_channel(front.address) as channel:
        answer = channel.unary_unary("/robobrain.v1.Brain/Describe")(newer, timeout=10)
    assert pb.Description.FromString(answer).brain == "sum"


def test_a_pool_serves_as_many_sessions_as_it_has_brains() -> None:
    with Front(pool=2) as front:
        wait_for(lambda: all(seat.state == State.STATE_IDLE for seat in seats(front)))
        with RemoteBrain(front.address) as one, RemoteBrain(front.address) as two:
            one.reset(1)
            two.reset(2)
            assert (one.step([1, 0, 0]).outputs[1], two.step([1, 0, 0]).outputs[1]) == (2.0, 3.0)
            with pytest.raises(BrainFault, match="all 2 brains are in use"):
                RemoteBrain(front.address)
            assert {seat.exchanges for seat in seats(front)} == {1}
        pids = {seat.pid for seat in seats(front)}
    assert len(pids) == 2
    assert not wait_until_gone(pids)


def test_a_client_waits_for_a_brain_that_is_being_built() -> None:
    told: list[tuple[str, float]] = []
    with Front(command=[*KERNEL[:-1], "plain"]) as front, RemoteBrain(front.address) as brain:
        seat = seats(front)[0]
        brain.reset(0)
        with pytest.raises(BrainFault, match="reset"):
            brain.step([999, 0, 0])
        brain._on_progress = lambda phase, done: told.append((phase, done))
        assert brain.reset(1).seq == 0
        wait_for(lambda: seats(front)[0].faults == 1)
        assert seats(front)[0].pid != seat.pid
        assert "exit code 3" in seats(front)[0].last_fault


def test_a_brain_that_cannot_be_built_is_the_servers_error() -> None:
    with pytest.raises(BrainFault, match="exit code 1"), Front(command=[*KERNEL[:-1], "broken"]):
        pass


@pytest.mark.slow
def test_a_brain_given_back_within_an_exchange_does_not_disturb_the_next_session(front: Front) -> None:
    with RawClient(front.address) as raw:
        wait_for(lambda: seats(front)[0].state == State.STATE_IDLE)
        session = raw.open()
        raw.stub.Reset(pb.Reset(seed=1), metadata=session)
        busy = raw.stub.Step.future(step(1, 444.0, 0.0, 0.0), metadata=session)
        wait_for(lambda: seats(front)[0].queue == 1)
        raw.stub.Release(spb.ReleaseRequest(), metadata=session)
        with RemoteBrain(front.address) as brain:
            brain.reset(5)
            wait_for(busy.done)
            for number in range(1, 50):
                assert brain.step([1, 0, 0]).outputs[1] == 5.0 + number


@pytest.mark.slow
def test_a_session_that_ends_while_it_waits_for_a_brain_leaves_it_to_the_next() -> None:
    with Front(command=[*KERNEL[:-1], "slow-start"]) as front, RawClient(front.address) as raw:
        session = raw.open()
        raw.stub.Reset(pb.Reset(seed=1), metadata=session)
        refusal(lambda: raw.stub.Step(step(1, 999.0, 0.0, 0.0), metadata=session))
        waiting = raw.stub.Reset.future(pb.Reset(seed=2), metadata=session)
        wait_for(lambda: seats(front)[0].queue == 1)
        raw.stub.Release(spb.ReleaseRequest(), metadata=session)
        with RemoteBrain(front.address) as brain:
            assert brain.reset(3).outputs.tolist() == [0.0, 3.0]
            assert brain.step([1, 0, 0]).outputs.tolist() == [1.0, 4.0]
        assert waiting.exception() is not None


def test_a_second_stream_of_a_session_takes_over(front: Front) -> None:
    with RawClient(front.address) as raw:
        wait_for(lambda: seats(front)[0].state == State.STATE_IDLE)
        session = raw.open()
        requests: SimpleQueue[pb.Request] = SimpleQueue()
        old = raw.stub.Exchange(iter(requests.get, None), metadata=session)
        requests.put(pb.Request(id=1, reset=pb.Reset(seed=0)))
        assert next(old).readings.seq == 0
        (reply,) = raw.exchange(session, pb.Request(id=2, step=step(1, 1.0, 0.0, 0.0)))
        assert reply.readings.seq == 1
        assert refusal(lambda: next(old)).code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN)
        raw.stub.Release(spb.ReleaseRequest(), metadata=session)


def test_a_forgotten_brain_is_given_back_after_its_lease() -> None:
    with Front(lease_s=0.3) as front:
        brain = RemoteBrain(front.address)
        brain.reset(0)
        del brain
        gc.collect()
        wait_for(lambda: seats(front)[0].state == State.STATE_IDLE)


def test_no_server_is_a_clear_fault() -> None:
    with pytest.raises(BrainFault, match=r"no brain at 127\.0\.0\.1:1"):
        RemoteBrain("127.0.0.1:1", connect_timeout_s=0.3)


def test_shutdown_spares_sessions_unless_told_otherwise() -> None:
    with Front() as front, ServerLink(front.address) as link:
        with RemoteBrain(front.address), pytest.raises(BrainFault, match="1 session"):
            link.shutdown()
        link.shutdown()
        front._thread.join(10)
        assert not front._thread.is_alive()
        front._loop = type("Ended", (), {"call_soon_threadsafe": lambda *_: None})()  # type: ignore[assignment]


def test_errors_of_versions_are_protocol_errors(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robobrain.bridge.remote_session.PROTOCOL_VERSION", "3.0")
    with pytest.raises(ProtocolError, match=r"'3\.0'.*'1\.0'"):
        RemoteBrain(front.address)
