"""Helpers of the tests of the server: a front in a thread or a process, a network that misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import grpc

from robobrain.bridge.messages import PROTOCOL_VERSION
from robobrain.bridge.remote import RemoteBrain
from robobrain.bridge.security import Address
from robobrain.bridge.server import Limits, ServerConfig, running
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.bridge.v1 import service_pb2 as spb
from robobrain.bridge.v1.service_pb2_grpc import BrainStub

KERNEL = [sys.executable, str(Path(__file__).parent / "server_kernels.py"), "plain"]
LOOPBACK = Address(host="127.0.0.1", port=0)


class Front:
    """A server in a thread of its own, on a free port of the loopback interface."""

    def __init__(self, **changes: Any) -> None:
        self._config = ServerConfig(
            **{"command": KERNEL, "listen": LOOPBACK, "lease_s": 2.0, "stall_s": 2.0} | changes
        )
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    @property
    def address(self) -> str:
        return str(self._address)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            async with running(self._config) as (self._address, self._ending):
                self._started.set()
                await self._ending.wait()
        except BaseException as error:
            self._error = error
        finally:
            self._started.set()


class FrontProcess:
    """A server in a process of its own."""

    SCRIPT = (
        "import asyncio, sys; sys.path.insert(0, sys.argv[1]); from server_tools import serve_for_ever;"
        "asyncio.run(serve_for_ever(sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), sys.argv[5:]))"
    )

    def __init__(
        self,
        address: str = "127.0.0.1:0",
        command: Sequence[str] = KERNEL,
        lease_s: float = 2.0,
        pool: int = 1,
    ) -> None:
        here = str(Path(__file__).parent)
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.SCRIPT, here, address, str(lease_s), str(pool), *command],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


async def serve_for_ever(address: str, lease_s: float, pool: int, command: Sequence[str]) -> None:
    limits = Limits(calls_per_s=1e4, calls_burst=10**4)
    config = ServerConfig(
        command=command,
        listen=Address.parse(address),
        lease_s=lease_s,
        pool=pool,
        stall_s=2.0,
        limits=limits,
    )
    async with running(config) as (where, ending):
        print(where, flush=True)
        await ending.wait()


def step_on(brain: RemoteBrain) -> None:
    """Step until something happens."""
    for _ in range(100_000):
        brain.step([1, 0, 0])


class Proxy:
    """Stands between client and server: passes on, holds back, or cuts what they send."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.delay_s = 0.0
        self._open = threading.Event()
        self._open.set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Close all connections at once; new ones are accepted."""
        for pair in self._pairs:
            for end in pair:
                end.close() if end.fileno() < 0 else _reset(end)
        self._pairs.clear()
        self._open.set()

    def hold(self) -> None:
        """Pass nothing on and say nothing."""
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                if self._listener.fileno() < 0:
                    return
                client.close()
                continue
            self._pairs.append((client, server))
            for source, sink in ((client, server), (server, client)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(2**16):
                self._open.wait()
                if self.delay_s:
                    time.sleep(self.delay_s)
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                _reset(end)


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


class RawClient:
    """The calls of the service one by one, for what the proper client never does."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])
        self.stub = BrainStub(self.channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def open(self, client: str = "raw", version: str = PROTOCOL_VERSION) -> tuple[tuple[str, str], ...]:
        """Open a session and return the metadata that name it."""
        session = self.stub.Open(spb.OpenRequest(protocol_version=version, client=client), timeout=10)
        return (("robobrain-session", session.id),)

    def exchange(self, session: tuple[tuple[str, str], ...], *requests: pb.Request) -> list[pb.Reply]:
        """Send ``requests`` through one stream and return the replies."""
        return list(self.stub.Exchange(iter(requests), metadata=session, timeout=20))


def refusal(call: Callable[[], object]) -> grpc.RpcError:
    """Return the status with which ``call`` is refused."""
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call was not refused")


def wait_for(condition: Callable[[], bool], limit_s: float = 15.0, every_s: float = 0.05) -> None:
    """Wait until ``condition`` holds."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(every_s)
