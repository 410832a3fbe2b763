"""A kernel process as the event loop of a server drives it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Self

from robobrain.bridge.codec import check_version, decode_fault, parse
from robobrain.bridge.messages import PROTOCOL_VERSION
from robobrain.bridge.pipe import PipeClosed
from robobrain.bridge.process import KernelProcess
from robobrain.bridge.server.frames import Frames
from robobrain.bridge.server.watch import StallDetector
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import BrainFault, ProtocolError

_LOOK_EVERY_S = 1.0
_CLOSE_GRACE_S = 2.0
_SHUTDOWN = pb.Request(shutdown=pb.Shutdown()).SerializeToString()

ProgressListener = Callable[[str, float], None]


class Kernel:
    """A started kernel process, in lock-step through its pipe.

    Attributes:
        description: What the brain is, as the kernel sent it.
        lost: Set once the process is gone or was ended; ``reason`` says why.
        reason: Why it was lost.
        devices: What it has beside its wiring, as JSON.
    """

    description: pb.Description

    def __init__(self, process: KernelProcess, frames: Frames) -> None:
        """Take over a running process; use :meth:`start`."""
        self._process, self._frames = process, frames
        self._turn = asyncio.Lock()
        self._id = 0
        self._reset_id: int | None = None
        self._awaited = False
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
        process = await asyncio.to_thread(KernelProcess, command, {}, _LOOK_EVERY_S)
        connection = process.pipe.duplicate()
        connection.setblocking(False)
        _, frames = await asyncio.get_running_loop().create_connection(Frames, sock=connection)
        kernel = cls(process, frames)
        kernel._watching = asyncio.create_task(kernel._watch(stall_s))
        try:
            describe = pb.Describe(protocol_version=PROTOCOL_VERSION)
            reply = await kernel.exchange(pb.Request(describe=describe), on_progress)
            if reply.HasField("fault"):
                raise decode_fault(reply.fault)
            check_version(reply.description.protocol_version)
        except BaseException:
            await kernel.end("could not be started")
            raise
        kernel.description = reply.description
        return kernel

    @property
    def pid(self) -> int:
        """Process id of the kernel, which also names its session."""
        return self._process.pid

    @property
    def log_tail(self) -> str:
        """The end of what the process wrote."""
        return self._process.log_tail()

    async def exchange(self, request: pb.Request, on_progress: ProgressListener | None = None) -> pb.Reply:
        """Pass ``request`` on and return the answer, under the request's own id.

        Once begun this is not to be cancelled, except by ending the kernel.

        Raises:
            BrainFault: The process was lost.
        """
        asked_as = request.id
        async with self._turn:
            if self.lost.is_set():
                raise BrainFault(f"the brain's process {self.reason}")
            self._id += 1
            request.id = self._id
            before = self._reset_id
            if request.HasField("reset") or request.HasField("restore"):
                self._reset_id = self._id
            try:
                reply = await self._answer(request, on_progress)
            except (PipeClosed, ProtocolError) as error:
                raise BrainFault(f"the brain's process {await self._why_lost(error)}") from None
            finally:
                request.id = asked_as
            self._take_note(request, reply, before)
        reply.id = asked_as
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

    def _take_note(self, request: pb.Request, reply: pb.Reply, before: int | None) -> None:
        """Keep track of the episode and of the devices."""
        if request.HasField("restore") and not reply.HasField("readings"):
            self._reset_id = before  # that episode goes on
        if request.HasField("configure") and reply.HasField("description"):
            self.devices = request.configure.devices

    async def _answer(self, request: pb.Request, on_progress: ProgressListener | None) -> pb.Reply:
        self._awaited = True
        try:
            self._frames.send(request.SerializeToString())
            while True:
                reply = parse(pb.Reply, await self._frames.receive())
                if reply.HasField("progress"):
                    if on_progress is not None:
                        on_progress(reply.progress.phase, reply.progress.fraction)
                elif reply.id in (self._id, 0) or (reply.HasField("fault") and reply.id == self._reset_id):
                    return reply
        finally:
            self._awaited = False

    async def _why_lost(self, error: Exception) -> str:
        if isinstance(error, ProtocolError):
            return await self.end(f"sent what can't be understood ({error})")
        return await self.end()

    async def _watch(self, stall_s: float) -> None:
        """Look every second whether the process lives, and gets on while an answer is awaited."""
        clock = asyncio.get_running_loop().time
        detector, watched = StallDetector(self.pid, stall_s), 0
        while not self.lost.is_set():
            await asyncio.sleep(_LOOK_EVERY_S)
            if self._frames.at_end:
                self._end_soon()
            elif self._awaited and watched == self._id:
                if why := await asyncio.to_thread(detector.look, clock()):
                    self._end_soon(why)
            else:
                watched = self._id
                detector.restart(clock())

    async def end(self, reason: str = "") -> str:
        """End the process for certain and return why it was lost; may be called again."""
        return await asyncio.shield(self._end_soon(reason))

    def _end_soon(self, reason: str = "") -> asyncio.Task[str]:
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(reason))
        return self._ending

    async def _end(self, reason: str) -> str:
        farewell = b"" if self._awaited or reason else _SHUTDOWN
        grace_s = _LOOK_EVERY_S if self._frames.at_end else _CLOSE_GRACE_S if farewell else 0.0
        how = await asyncio.to_thread(self._process.end, grace_s, farewell)
        self._frames.close()
        self.reason = reason or f"ended ({how})"
        self.lost.set()
        return self.reason
