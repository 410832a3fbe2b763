from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robobrain.bridge.pipe import Pipe, PipeClosed
from robobrain.errors import BrainFault, ProtocolError


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Pipe]]:
    raw, other = socket.socketpair()
    other.settimeout(0.05)
    pipe = Pipe(other, max_frame_bytes=1000)
    yield raw, pipe
    raw.close()
    pipe.close()


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_frames_arrive_whole_and_in_order(payloads: list[bytes]) -> None:
    one, other = socket.socketpair()
    sender, receiver = Pipe(one), Pipe(other)
    for payload in payloads:
        sender.send(payload)
    assert [receiver.receive() for _ in payloads] == payloads
    sender.close()
    receiver.close()


def test_a_frame_larger_than_the_sockets_buffer_arrives_whole() -> None:
    one, other = socket.socketpair()
    sender, receiver = Pipe(one), Pipe(other)
    payload = bytes(range(256)) * 2**14
    thread = threading.Thread(target=sender.send, args=(payload,))
    thread.start()
    assert receiver.receive() == payload
    thread.join()
    sender.close()
    receiver.close()


def test_a_frame_in_pieces_survives_time_outs(ends: tuple[socket.socket, Pipe]) -> None:
    raw, pipe = ends
    frame = struct.pack("<I", 5) + b"hello"
    for piece in (frame[:2], frame[2:7]):
        raw.sendall(piece)
        with pytest.raises(TimeoutError):
            pipe.receive()
    raw.sendall(frame[7:] + struct.pack("<I", 0))
    assert pipe.receive() == b"hello"
    assert pipe.receive() == b""


def test_the_end_between_frames_is_told_from_the_end_within_one(ends: tuple[socket.socket, Pipe]) -> None:
    raw, pipe = ends
    raw.sendall(struct.pack("<I", 1) + b"x" + struct.pack("<I", 5) + b"he")
    assert pipe.receive() == b"x"
    raw.close()
    with pytest.raises(ProtocolError, match="within a frame"):
        pipe.receive()


def test_a_closed_end_is_reported_on_both_directions(ends: tuple[socket.socket, Pipe]) -> None:
    raw, pipe = ends
    raw.close()
    with pytest.raises(PipeClosed):
        pipe.receive()
    with pytest.raises(PipeClosed):
        pipe.send(b"x")
    assert issubclass(PipeClosed, BrainFault)


def test_unread_data_at_the_other_end_is_a_closed_pipe_too(ends: tuple[socket.socket, Pipe]) -> None:
    raw, pipe = ends
    pipe.send(b"never read")
    raw.close()
    with pytest.raises(PipeClosed):
        pipe.receive()


def test_too_large_frames_are_refused_before_they_are_read_or_sent(ends: tuple[socket.socket, Pipe]) -> None:
    raw, pipe = ends
    with pytest.raises(ProtocolError, match="1001 bytes"):
        pipe.send(bytes(1001))
    raw.sendall(struct.pack("<I", 2**31))
    with pytest.raises(ProtocolError, match="2147483648 bytes"):
        pipe.receive()
