from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from bridge_kernels import DESCRIPTION, SumModel

from robobrain.bridge.codec import decode_description
from robobrain.bridge.pipe import Pipe, PipeClosed
from robobrain.bridge.serve import Server
from robobrain.bridge.v1 import brain_pb2 as pb


class Client:
    """Speaks raw messages with a server in a thread."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(10.0)
        self.socket, self.pipe, self.model = ours, Pipe(ours), SumModel()
        self._theirs = Pipe(theirs)
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        self.id = 0

    def _serve(self) -> None:
        Server(self.model, self._theirs).run()
        self._theirs.close()

    def ask(self, **content: object) -> pb.Reply:
        self.id += 1
        self.pipe.send(pb.Request(id=self.id, **content).SerializeToString())  # type: ignore[arg-type]
        return pb.Reply.FromString(self.pipe.receive())

    def step(self, seq: int, *values: float, t_ms: float | None = None) -> pb.Reply:
        packed = np.array(values, "<f4").tobytes()
        return self.ask(step=pb.Step(seq=seq, t_ms=10.0 * (seq - 1) if t_ms is None else t_ms, inputs=packed))


@pytest.fixture
def client() -> Iterator[Client]:
    one = Client()
    yield one
    one.pipe.close()
    one.thread.join(10.0)
    assert not one.thread.is_alive()


def outputs(reply: pb.Reply) -> list[float]:
    assert reply.HasField("readings"), reply
    return np.frombuffer(reply.readings.outputs, "<f4").tolist()


def test_describe_gives_the_models_description_at_any_time(client: Client) -> None:
    for _ in range(2):
        reply = client.ask(describe=pb.Describe(protocol_version="1.0"))
        assert decode_description(reply.description) == DESCRIPTION
        client.ask(reset=pb.Reset(seed=1))


def test_another_major_version_is_refused(client: Client) -> None:
    reply = client.ask(describe=pb.Describe(protocol_version="9.1"))
    assert reply.fault.code == pb.FAULT_CODE_PROTOCOL
    assert "9.1" in reply.fault.message
    assert "1.0" in reply.fault.message


def test_steps_run_in_sequence_and_answer_with_time_and_number(client: Client) -> None:
    reply = client.ask(reset=pb.Reset(seed=5))
    assert (reply.readings.seq, reply.readings.t_ms, outputs(reply)) == (0, 0.0, [0.0, 5.0])
    for seq in (1, 2, 3):
        reply = client.step(seq, 1.0, 2.0, 3.0)
        assert (reply.id, reply.readings.seq, reply.readings.t_ms) == (client.id, seq, 10.0 * seq)
        assert outputs(reply) == [6.0, 5.0 + 6.0 * seq]


def test_a_repeated_step_is_answered_from_the_last_reply_and_not_run(client: Client) -> None:
    client.ask(reset=pb.Reset(seed=0))
    first = client.step(1, 1.0, 0.0, 0.0)
    again = client.step(1, 7.0, 7.0, 7.0)
    assert again.readings == first.readings
    assert again.id == first.id + 1
    assert client.model.calls == 1
    assert outputs(client.step(2, 1.0, 0.0, 0.0)) == [1.0, 2.0]


@pytest.mark.parametrize("seq", [0, 2, 7])
def test_a_gap_is_refused_and_changes_nothing(client: Client, seq: int) -> None:
    client.ask(reset=pb.Reset(seed=0))
    reply = client.step(seq, 1.0, 0.0, 0.0)
    assert reply.fault.code == pb.FAULT_CODE_PROTOCOL
    assert outputs(client.step(1, 1.0, 0.0, 0.0)) == [1.0, 1.0]


def test_an_older_step_is_refused(client: Client) -> None:
    client.ask(reset=pb.Reset(seed=0))
    client.step(1, 1.0, 0.0, 0.0)
    client.step(2, 1.0, 0.0, 0.0)
    assert client.step(1, 1.0, 0.0, 0.0).fault.code == pb.FAULT_CODE_PROTOCOL


def test_a_step_at_another_time_is_refused(client: Client) -> None:
    client.ask(reset=pb.Reset(seed=0))
    reply = client.step(1, 1.0, 0.0, 0.0, t_ms=20.0)
    assert reply.fault.code == pb.FAULT_CODE_PROTOCOL
    assert "20.0 ms" in reply.fault.message


@pytest.mark.parametrize("values", [(1.0, 2.0), (1.0, np.nan, 2.0), (np.inf, 0.0, 0.0), ()])
def test_unusable_inputs_are_refused_and_the_episode_goes_on(client: Client, values: tuple[float]) -> None:
    client.ask(reset=pb.Reset(seed=0))
    assert client.step(1, *values).fault.code == pb.FAULT_CODE_CONFIGURATION
    assert outputs(client.step(1, 1.0, 0.0, 0.0)) == [1.0, 1.0]


def test_a_step_before_a_reset_is_refused(client: Client) -> None:
    reply = client.step(1, 1.0, 2.0, 3.0)
    assert reply.fault.code == pb.FAULT_CODE_CONFIGURATION
    assert "reset" in reply.fault.message


def test_a_reset_begins_a_new_sequence(client: Client) -> None:
    client.ask(reset=pb.Reset(seed=0))
    client.step(1, 1.0, 0.0, 0.0)
    assert outputs(client.ask(reset=pb.Reset(seed=3))) == [0.0, 3.0]
    assert outputs(client.step(1, 1.0, 0.0, 0.0)) == [1.0, 4.0]


def test_a_failing_model_loses_the_episode_and_not_the_brain(client: Client) -> None:
    reset = client.ask(reset=pb.Reset(seed=0))
    reply = client.step(1, 666.0, 0.0, 0.0)
    assert reply.fault.code == pb.FAULT_CODE_EPISODE_LOST
    assert reply.id == reset.id
    assert "RuntimeError: the model broke" in reply.fault.message
    assert client.step(2, 1.0, 0.0, 0.0).fault.code == pb.FAULT_CODE_CONFIGURATION
    assert outputs(client.ask(reset=pb.Reset(seed=3))) == [0.0, 3.0]


@pytest.mark.parametrize("in_episode", [False, True])
@pytest.mark.parametrize("garbage", [struct.pack("<I", 3) + b"\xff" * 3, struct.pack("<I", 2**31)])
def test_what_can_not_be_understood_ends_the_connection(
    client: Client, garbage: bytes, in_episode: bool
) -> None:
    if in_episode:
        client.ask(reset=pb.Reset(seed=0))
    client.socket.sendall(garbage)
    reply = pb.Reply.FromString(client.pipe.receive())
    assert (reply.id, reply.fault.code) == (0, pb.FAULT_CODE_PROTOCOL)
    with pytest.raises(PipeClosed):
        client.pipe.receive()


@pytest.mark.parametrize("in_episode", [False, True])
def test_shutdown_ends_the_server(client: Client, in_episode: bool) -> None:
    if in_episode:
        client.ask(reset=pb.Reset(seed=0))
    client.pipe.send(pb.Request(shutdown=pb.Shutdown()).SerializeToString())
    with pytest.raises(PipeClosed):
        client.pipe.receive()
