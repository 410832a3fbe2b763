"""The calls of robobrain.v1.Brain."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any, NoReturn

import grpc

from robobrain.bridge.codec import check_version, encode_fault
from robobrain.bridge.link import STEPS_AHEAD
from robobrain.bridge.messages import BEING_BUILT, PROTOCOL_VERSION, SESSION_KEY
from robobrain.bridge.server.answers import Answer
from robobrain.bridge.server.guard import RateLimit, host_of
from robobrain.bridge.server.pool import Pool, Seat
from robobrain.bridge.server.sessions import Refused, Session, SessionLost, Sessions
from robobrain.bridge.server.telemetry import Telemetry
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.bridge.v1 import service_pb2 as spb
from robobrain.bridge.v1.service_pb2_grpc import BrainServicer
from robobrain.errors import ConfigurationError, ProtocolError, RobobrainError

HEARTBEAT_S = 1.0
"""How often Progress tells a waiting client that the server lives."""

_STATUS = {
    SessionLost: grpc.StatusCode.NOT_FOUND,
    Refused: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ProtocolError: grpc.StatusCode.FAILED_PRECONDITION,
    ConfigurationError: grpc.StatusCode.INVALID_ARGUMENT,
}
_FAULT_STATUS = {
    pb.FAULT_CODE_CONFIGURATION: grpc.StatusCode.INVALID_ARGUMENT,
    pb.FAULT_CODE_PROTOCOL: grpc.StatusCode.FAILED_PRECONDITION,
}


class BrainService(BrainServicer):
    """Answers the calls; knows no brain, only sessions and seats.

    Attributes:
        ending: Set when a client has asked the server to end.
    """

    def __init__(self, pool: Pool, sessions: Sessions, calls: RateLimit, telemetry: Telemetry) -> None:
        self._pool, self._sessions, self._calls, self._telemetry = pool, sessions, calls, telemetry
        self._began = time.monotonic()
        self.ending = asyncio.Event()

    async def Describe(self, request: pb.Describe, context: Any) -> pb.Description:  # noqa: N802
        """Say what the brain is."""
        await self._admit(context)
        try:
            check_version(request.protocol_version)
        except ProtocolError as error:
            await _abort(context, error)
        return await self._description(context)

    async def Open(self, request: spb.OpenRequest, context: Any) -> spb.Session:  # noqa: N802
        """Lease a brain."""
        await self._admit(context)
        description = await self._description(context)
        try:
            check_version(request.protocol_version)
            session = self._sessions.open(request.client)
        except RobobrainError as error:
            await _abort(context, error)
        self._telemetry.session_began()
        return spb.Session(id=session.id, lease_s=self._sessions.lease_s, description=description)

    async def Release(self, request: spb.ReleaseRequest, context: Any) -> spb.ReleaseReply:  # noqa: N802
        """Take a brain back."""
        self._sessions.end(await self._session(context), "its client gave the brain back")
        return spb.ReleaseReply()

    async def Configure(self, request: pb.Configure, context: Any) -> pb.Description:  # noqa: N802
        """Change the devices of the next episodes."""
        session = await self._session(context)
        reply = await self._single(session, pb.Request(id=session.last_id + 1, configure=request), context)
        return reply.description

    async def Reset(self, request: pb.Reset, context: Any) -> pb.Readings:  # noqa: N802
        """Begin an episode."""
        session = await self._session(context)
        reply = await self._single(session, pb.Request(id=session.last_id + 1, reset=request), context)
        return reply.readings

    async def Step(self, request: pb.Step, context: Any) -> pb.Readings:  # noqa: N802
        """Run one exchange; a repeated number is answered again, not run again."""
        session = await self._session(context)
        reply = await self._single(session, pb.Request(id=session.last_id + 1, step=request), context)
        return reply.readings

    async def Exchange(self, requests: AsyncIterator[pb.Request], context: Any) -> None:  # noqa: N802
        """Serve a session: one reply for each request, in order; the next request may come meanwhile."""
        session = await self._session(context)
        stream = session.attach()
        writing = asyncio.Lock()
        asked: asyncio.Queue[Answer | None] = asyncio.Queue()
        room = asyncio.Semaphore(STEPS_AHEAD)
        alive = asyncio.create_task(_tell_progress(session, context, writing))
        reading = asyncio.create_task(_read(session, context, asked, room))
        try:
            while (answer := await asked.get()) is not None:
                reply = await self._reply(answer)
                async with writing:
                    await context.write(reply)
                room.release()
            await reading
        except asyncio.CancelledError:
            if stream.displaced:
                gone = grpc.StatusCode.NOT_FOUND if stream.is_over else grpc.StatusCode.CANCELLED
                await context.abort(gone, stream.displaced)
            raise
        finally:
            alive.cancel()
            reading.cancel()
            session.detach(stream)

    async def Status(self, request: spb.StatusRequest, context: Any) -> spb.ServerStatus:  # noqa: N802
        """Say who uses what, and how fast."""
        await self._admit(context)
        about = self._pool.description
        return spb.ServerStatus(
            version=version("robobrain"),
            protocol_version=PROTOCOL_VERSION,
            brain=about.brain if about else "",
            identity=about.identity if about else "",
            uptime_s=time.monotonic() - self._began,
            lease_s=self._sessions.lease_s,
            seats=await asyncio.to_thread(lambda: [_seat(seat) for seat in self._pool.seats]),
        )

    async def Shutdown(self, request: spb.ShutdownRequest, context: Any) -> spb.ShutdownReply:  # noqa: N802
        """End the server."""
        await self._admit(context)
        if len(self._sessions) and not request.even_if_leased:
            await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"{len(self._sessions)} session(s) are open; set even_if_leased to end them too",
            )
        self.ending.set()
        return spb.ShutdownReply()

    async def _reply(self, answer: Answer) -> pb.Reply:
        reply = await answer.wait()
        self._telemetry.exchange(reply)
        return reply

    async def _single(self, session: Session, request: pb.Request, context: Any) -> pb.Reply:
        reply = await self._reply(_ask(session, request))
        if reply.HasField("fault"):
            status = _FAULT_STATUS.get(reply.fault.code, grpc.StatusCode.ABORTED)
            await context.abort(status, reply.fault.message)
        return reply

    async def _session(self, context: Any) -> Session:
        await self._admit(context)
        metadata = dict(context.invocation_metadata())
        try:
            return self._sessions.find(str(metadata.get(SESSION_KEY, "")))
        except SessionLost as error:
            await _abort(context, error)

    async def _description(self, context: Any) -> pb.Description:
        if (description := self._pool.description) is not None:
            return description
        first = self._pool.seats[0]
        state = f"{first.phase}, {first.fraction:.0%}"
        await context.abort(grpc.StatusCode.UNAVAILABLE, f"{BEING_BUILT} ({state})")
        raise AssertionError("abort raises")

    async def _admit(self, context: Any) -> None:
        if not self._calls.allows(host_of(context.peer())):
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"more than {self._calls.per_s:g} calls a second; use one Exchange stream for the steps",
            )


def _ask(session: Session, request: pb.Request) -> Answer:
    """Have a request answered; the answer of one that comes out of order is the error."""
    try:
        return session.ask(request)
    except ProtocolError as error:
        refused = Answer()
        refused.settle(pb.Reply(id=request.id, fault=encode_fault(error)))
        return refused


async def _read(
    session: Session, context: Any, asked: asyncio.Queue[Answer | None], room: asyncio.Semaphore
) -> None:
    """Ask what a stream asks, as far as there is room; None marks its end."""
    try:
        while (request := await context.read()) is not grpc.aio.EOF:
            await room.acquire()
            asked.put_nowait(_ask(session, request))
    finally:
        asked.put_nowait(None)


async def _tell_progress(session: Session, context: Any, writing: asyncio.Lock) -> None:
    """Give a sign of life every second while a reply takes long, until the call ends."""
    seen = 0
    while not context.done():
        await asyncio.sleep(HEARTBEAT_S)
        if session.is_answering and seen == session.last_id:
            progress = pb.Progress(phase=session.seat.phase, fraction=session.seat.fraction)
            async with writing:
                with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
                    await context.write(pb.Reply(progress=progress))
        seen = session.last_id


async def _abort(context: Any, error: RobobrainError) -> NoReturn:
    await context.abort(_STATUS[type(error)], str(error))
    raise AssertionError("abort raises")


def _seat(seat: Seat) -> spb.Seat:
    session = seat.holder if isinstance(seat.holder, Session) else None
    message = spb.Seat(
        state=_state(seat),
        phase=seat.phase,
        fraction=seat.fraction,
        faults=seat.faults,
        last_fault=seat.last_fault,
    )
    if (kernel := seat.kernel) is not None:
        message.pid, message.memory_mib = kernel.pid, kernel.memory_mib()
    if session is not None:
        message.client, message.since_unix_s = session.client, session.since
        message.connected, message.queue = session.stream is not None, int(session.is_answering)
        message.exchanges = session.meter.exchanges
        message.real_time_factor = session.meter.real_time_factor
        message.spikes_per_s = session.meter.spikes_per_s
    return message


def _state(seat: Seat) -> spb.Seat.State:
    if not seat.is_ready:
        return spb.Seat.STATE_BUILDING
    if seat.holder is not None:
        return spb.Seat.STATE_LEASED
    return spb.Seat.STATE_RETURNING if seat.is_returning else spb.Seat.STATE_IDLE
