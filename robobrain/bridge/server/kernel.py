"""A kernel process as the event loop of a server drives it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

from robobrain.bridge.codec import check_version, decode_fault, parse
from robobrain.bridge.messages import PROTOCOL_VERSION
from robobrain.bridge.process import KernelProcess
from robobrain.bridge.server.frames import Frames
from robobrain.bridge.server.watch import StallDetector, memory_mib
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import BrainFault, ProtocolError

_LOOK_EVERY_S = 1.0
_CLOSE_GRACE_S = 2.0
_SHUTDOWN = pb.Request(shutdown=pb.Shutdown()).SerializeToString()

ProgressListener = Callable[[str, float], None]
ReplyListener = Callable[[pb.Reply | BrainFault], None]


class _Pending(NamedTuple):
    """A request that the kernel has and did not answer yet.

    Attributes:
        id: Its number between front and kernel.
        request: The request.
        reset_id: Number of what began its episode, which also names the loss of that episode.
        reset_id_before: The same for the episode before it, where it begins one.
        on_reply: Who asked.
    """

    id: int
    request: pb.Request
    reset_id: int | None
    reset_id_before: int | None
    on_reply: ReplyListener


class Kernel:
    """A started kernel process, driven through its pipe.

    Attributes:
        description: What the brain is, as the kernel sent it.
        lost: Set once the process is gone or was ended; ``reason`` says why.
        reason: Why it was lost.
        devices: What it has beside its wiring, as JSON.
    """

    description: pb.Description

    def __init__(self, process: KernelProcess) -> None:
        """Take over a running process; use :meth:`start`."""
        self._process = process
        self._frames = Frames(self._take, self._take_end)
        self._id = 0
        self._reset_id: int | None = None
        self._pending: deque[_Pending] = deque()
        self._on_progress: ProgressListener | None = None
        self._ending: asyncio.Task[str] | None = None
        self._watching: asyncio.Task[None] | None = None
        self.lost = asyncio.Event()
        self.reason = self.devices = ""

    @classmethod
    async def start(
        cls, command: Sequence[str], *, stall_s: float, on_progress: ProgressListener | None = None
    ) -> Self:
        """Start ``command`` and wait until its network is built and settled.

        Args:
            command: Program and arguments; ``--fd N`` is appended, the number of its end of the pipe.
            stall_s: How long the process may come to a halt while an answer is awaited.
            on_progress: Told how far the building is.

        Raises:
            BrainFault: The process can't be started, or was lost.
            ConfigurationError: It refused its configuration.
        """
        abandoned = threading.Event()
        opening = asyncio.create_task(cls._open(command, abandoned, on_progress))
        try:
            kernel = await asyncio.shield(opening)
        except asyncio.CancelledError:
            abandoned.set()
            with contextlib.suppress(BrainFault):
                await (await opening).end("is not wanted any more")
            raise
        kernel._watching = asyncio.create_task(kernel._watch(stall_s))
        try:
            describe = pb.Describe(protocol_version=PROTOCOL_VERSION)
            reply = await kernel.exchange(pb.Request(describe=describe))
            if reply.HasField("fault"):
                raise decode_fault(reply.fault)
            check_version(reply.description.protocol_version)
        except BaseException:
            await kernel.end("could not be started")
            raise
        kernel.description, kernel._on_progress = reply.description, None
        return kernel

    @classmethod
    async def _open(
        cls, command: Sequence[str], abandoned: threading.Event, on_progress: ProgressListener | None
    ) -> Self:
        """Start the process and connect its pipe to the event loop."""
        process = await asyncio.to_thread(KernelProcess, command, {}, _LOOK_EVERY_S, abandoned)
        connection = process.pipe.duplicate()
        connection.setblocking(False)
        kernel = cls(process)
        kernel._on_progress = on_progress
        await asyncio.get_running_loop().create_connection(lambda: kernel._frames, sock=connection)
        return kernel

    @property
    def pid(self) -> int:
        """Process id of the kernel, which also names its session."""
        return self._process.pid

    def memory_mib(self) -> float:
        """Return the memory of its processes on this machine, each shared page counted once."""
        return memory_mib(self.pid, self._process.ranks())

    @property
    def log_tail(self) -> str:
        """The end of what the process wrote."""
        return self._process.log_tail()

    def ask(self, request: pb.Request, on_reply: ReplyListener) -> None:
        """Pass ``request`` on at once; the kernel answers one after the other.

        Args:
            request: Only steps may be asked before what was asked last is answered.
            on_reply: Gets the answer, under the request's own id, or the loss of the process.
        """
        if self.lost.is_set():
            on_reply(BrainFault(f"the brain's process {self.reason}"))
            return
        self._id += 1
        before = self._reset_id
        if request.HasField("reset") or request.HasField("restore"):
            self._reset_id = self._id
        self._pending.append(_Pending(self._id, request, self._reset_id, before, on_reply))
        asked_as, request.id = request.id, self._id
        self._frames.send(request.SerializeToString())
        request.id = asked_as

    async def exchange(self, request: pb.Request) -> pb.Reply:
        """Pass ``request`` on and return the answer, under the request's own id.

        Raises:
            BrainFault: The process was lost.
        """
        answer: asyncio.Future[pb.Reply | BrainFault] = asyncio.get_running_loop().create_future()
        self.ask(request, lambda reply: None if answer.done() else answer.set_result(reply))
        reply = await answer
        if isinstance(reply, BrainFault):
            raise reply
        return reply

    async def return_to_start(self) -> None:
        """Take back what a session has made of the brain: episode, instants, devices.

        Raises:
            BrainFault: The process was lost.
        """
        kept = await self.exchange(pb.Request(list_snapshots=pb.ListSnapshots()))
        for one in kept.snapshots.held:
            await self.exchange(pb.Request(drop=pb.Drop(snapshot=one.id)))
        if self.devices:
            await self.exchange(pb.Request(configure=pb.Configure()))
        await self.exchange(pb.Request(reset=pb.Reset(seed=0)))

    def _take(self, frame: bytes) -> None:
        """Hand an answer to who asked for it."""
        reply = parse(pb.Reply, frame)
        if reply.HasField("progress"):
            if self._on_progress is not None:
                self._on_progress(reply.progress.phase, reply.progress.fraction)
            return
        first = self._pending[0] if self._pending else None
        if first is None or not (
            reply.id in (first.id, 0) or (reply.HasField("fault") and reply.id == first.reset_id)
        ):
            return
        self._pending.popleft()
        request = first.request
        if request.HasField("restore") and not reply.HasField("readings"):
            self._reset_id = first.reset_id_before  # that episode goes on
        if request.HasField("configure") and reply.HasField("description"):
            self.devices = request.configure.devices
        reply.id = request.id
        first.on_reply(reply)

    def _take_end(self, problem: ProtocolError | None) -> None:
        self._end_soon("" if problem is None else f"sent what can't be understood ({problem})")

    async def _watch(self, stall_s: float) -> None:
        """Look every second whether the process lives, and gets on while an answer is awaited."""
        clock = asyncio.get_running_loop().time
        detector, watched = StallDetector(self.pid, stall_s, self._process.ranks), 0
        while not self.lost.is_set():
            await asyncio.sleep(_LOOK_EVERY_S)
            asked = self._pending[0].id if self._pending else 0
            if asked and asked == watched:
                if why := await asyncio.to_thread(detector.look, clock()):
                    self._end_soon(why)
            else:
                watched = asked
                detector.restart(clock())

    async def end(self, reason: str = "") -> str:
        """End the process for certain and return why it was lost; may be called again."""
        return await asyncio.shield(self._end_soon(reason))

    def _end_soon(self, reason: str = "") -> asyncio.Task[str]:
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(reason))
        return self._ending

    async def _end(self, reason: str) -> str:
        farewell = b"" if self._pending or reason else _SHUTDOWN
        grace_s = _LOOK_EVERY_S if self._frames.at_end else _CLOSE_GRACE_S if farewell else 0.0
        how = await asyncio.to_thread(self._process.end, grace_s, farewell)
        self._frames.close()
        self.reason = reason or f"ended ({how})"
        self.lost.set()
        while self._pending:
            self._pending.popleft().on_reply(BrainFault(f"the brain's process {self.reason}"))
        return self.reason
