"""Sessions: who has which brain, for how long, and each request answered once."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from robobrain.bridge.codec import encode_fault
from robobrain.bridge.link import STEPS_AHEAD
from robobrain.bridge.server.answers import Answer
from robobrain.bridge.server.devices import DeviceLimits
from robobrain.bridge.server.instants import Instants
from robobrain.bridge.server.kernel import Kernel
from robobrain.bridge.server.meter import Meter
from robobrain.bridge.server.pool import Pool, Seat
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import BrainFault, ConfigurationError, ProtocolError, RobobrainError, SnapshotFault

_LOGGER = logging.getLogger(__name__)
_ID_BYTES = 16
_FREE_KINDS = frozenset({"describe", "drop", "list_snapshots", "restore"})
_EPISODE_KINDS = frozenset({"step", "collect", "snapshot"})
NAME_LENGTH = 128
"""Longest name that a client may give itself."""


class Refused(RobobrainError):
    """Every brain is leased."""


class SessionLost(RobobrainError):
    """There is no such session, or not any more."""


class Stream:
    """The call through which a session is connected.

    Attributes:
        displaced: Why the server ended it; empty while it did not.
        is_over: The session ended with it.
    """

    def __init__(self) -> None:
        self.displaced, self.is_over = "", False
        self._task = asyncio.current_task()

    def displace(self, why: str, *, is_over: bool = False) -> None:
        """End the call, and say whether the session ended with it."""
        self.displaced, self.is_over = why, is_over
        if self._task is not None:
            self._task.cancel()


class Session:
    """One client's lease of a brain.

    Attributes:
        id: Known to the client alone.
        client: Who it is, for people.
        seat: Where its brain is.
        since: When it was opened (Unix time).
        meter: How fast it goes.
        last_id: Id of the last request.
        stream: Its stream, None while it is not connected.
    """

    def __init__(self, client: str, pool: Pool, seat: Seat, limits: DeviceLimits) -> None:
        self.id = secrets.token_urlsafe(_ID_BYTES)
        self.client, self.seat, self.since = client, seat, time.time()
        self.meter = Meter()
        self.stream: Stream | None = None
        self._pool, self._limits = pool, limits
        self._devices, self._instants = "", Instants()
        self.last_id = 0
        self._answer: Answer | None = None
        self._last_step: Answer | None = None
        self._answers: dict[int, Answer] = {}
        self._episode = False
        self._waits_for_brain = False
        self._touched = time.monotonic()
        self._replied_s = 0.0

    @property
    def is_answering(self) -> bool:
        """A request is being answered."""
        return self._answer is not None and self._answer.reply is None

    def idle_s(self) -> float:
        """Return for how long the session has had neither stream nor request."""
        if self.stream is not None or (self.is_answering and self.seat.is_ready):
            self.touch()
        return time.monotonic() - self._touched

    def attach(self) -> Stream:
        """Let the present task serve the session's stream, instead of an older one."""
        if self.stream is not None:
            self.stream.displace("the client has come back on another stream")
        self.stream = Stream()
        return self.stream

    def detach(self, stream: Stream) -> None:
        """Note that ``stream`` has ended: the lease begins, unless there is another one."""
        if self.stream is stream:
            self.stream = None
            self.touch()

    def touch(self) -> None:
        """Begin the lease anew."""
        self._touched = time.monotonic()

    def ask(self, request: pb.Request) -> Answer:
        """Have ``request`` answered once, after those before; one of the last two gets the same answer again.

        The answer is worked out whether somebody waits for it or not.

        Raises:
            ProtocolError: Its id is older than the last one.
        """
        self.touch()
        if request.id in self._answers:
            return self._answers[request.id]
        if request.id <= self.last_id:
            raise ProtocolError(f"request {request.id} comes after request {self.last_id}; ids rise from 1")
        self.last_id = request.id
        before, answer = self._answer, Answer()
        self._answers = dict([*self._answers.items()][1 - STEPS_AHEAD :])
        self._answer = self._answers[request.id] = answer
        if (kernel := self._kernel_for_step(request, before)) is not None:
            self._last_step = answer
            arrived = time.perf_counter()
            kernel.ask(request, lambda outcome: answer.settle(self._reply(request, outcome, arrived)))
        else:
            answer.work = asyncio.create_task(self._work_out(request, before, answer))
        return answer

    def _kernel_for_step(self, request: pb.Request, before: Answer | None) -> Kernel | None:
        """Return the kernel that a step can be passed on to at once: nothing but steps is before it."""
        is_next = before is None or before.reply is not None or before is self._last_step
        return self.seat.kernel if is_next and self._episode and request.HasField("step") else None

    async def _work_out(self, request: pb.Request, before: Answer | None, answer: Answer) -> None:
        """Answer ``request`` once what was asked before it is answered."""
        if before is not None:
            await before.wait()
        arrived = time.perf_counter()
        try:
            outcome: pb.Reply | RobobrainError = await self._pass_on(request)
        except RobobrainError as error:
            outcome = error
        answer.settle(self._reply(request, outcome, arrived))

    def _reply(self, request: pb.Request, outcome: pb.Reply | RobobrainError, arrived: float) -> pb.Reply:
        """Return what the client gets, and note what became of the episode."""
        if isinstance(outcome, (ConfigurationError, SnapshotFault)):
            return pb.Reply(id=request.id, fault=encode_fault(outcome))
        if isinstance(outcome, RobobrainError):
            self._episode = False
            message = f"{outcome}; the server starts another, reset(seed) begins a new episode"
            return pb.Reply(id=request.id, fault=pb.Fault(code=pb.FAULT_CODE_EPISODE_LOST, message=message))
        if outcome.HasField("fault"):
            self._episode = self._episode and outcome.fault.code in SURVIVED
        if outcome.HasField("readings"):
            self._account(outcome.readings, arrived)
        self.touch()
        return outcome

    async def _pass_on(self, request: pb.Request) -> pb.Reply:
        kind = request.WhichOneof("kind")
        if kind in ("reset", "configure"):
            return await self._twice(self._begin if kind == "reset" else self._configure, request)
        if kind not in _FREE_KINDS | _EPISODE_KINDS:
            raise ConfigurationError(
                "a session serves describe, configure, reset, step, collect, and what concerns snapshots"
            )
        if kind in _EPISODE_KINDS and not self._episode:
            raise ConfigurationError("no episode has begun: reset first")
        if self.seat.kernel is None:
            raise BrainFault(f"the brain's process {self.seat.last_fault}")
        if kind in ("describe", "step", "collect"):
            return await self.seat.kernel.exchange(request)
        reply = await self._instants.ask(self.seat.kernel, request)
        self._episode = self._episode or reply.HasField("readings")
        return reply

    async def _twice(
        self, attempt: Callable[[Kernel, pb.Request], Awaitable[pb.Reply]], request: pb.Request
    ) -> pb.Reply:
        """Ask a living brain, in another seat where this one's is being replaced; once more if it is lost."""
        try:
            return await attempt(await self._living_kernel(), request)
        except BrainFault as fault:
            _LOGGER.warning("%s once more: %s", request.WhichOneof("kind"), fault)
        return await attempt(await self._living_kernel(), request)

    async def _begin(self, kernel: Kernel, request: pb.Request) -> pb.Reply:
        """Begin an episode with the session's devices, also on a brain that does not have them yet."""
        self._episode = True
        if kernel.devices != self._devices:
            reply = await kernel.exchange(pb.Request(configure=pb.Configure(devices=self._devices)))
            if reply.HasField("fault"):
                reply.id = request.id
                return reply
        return await kernel.exchange(request)

    async def _configure(self, kernel: Kernel, request: pb.Request) -> pb.Reply:
        """Change the devices of the next episodes; where they are refused, those of before stay."""
        self._limits.check(request.configure.devices)
        self._episode = False
        reply = await kernel.exchange(request)
        if reply.HasField("description"):
            self._devices = request.configure.devices
            self._instants.clear()
        return reply

    async def _living_kernel(self) -> Kernel:
        if not self.seat.is_ready:
            self.seat = self._pool.move(self, self.seat)
        self._waits_for_brain = True
        try:
            if self.seat.returning is not None:
                await asyncio.wait((self.seat.returning,))
            while self.seat.kernel is None or not self.seat.is_ready:
                self.seat.ready.clear()
                await self.seat.ready.wait()
        finally:
            self._waits_for_brain = False
        return self.seat.kernel

    def end(self, why: str = "the session was ended") -> Answer | None:
        """End the stream and what waits for a brain; return the answer that a brain still works on."""
        if self.stream is not None:
            self.stream.displace(why, is_over=True)
        if self._waits_for_brain:
            for number, answer in self._answers.items():
                answer.abandon(pb.Reply(id=number, fault=encode_fault(BrainFault(why))))
        return self._answer

    def _account(self, readings: pb.Readings, arrived: float) -> None:
        timing, now = readings.timing, time.perf_counter()
        in_kernel_ms = timing.encode_ms + timing.run_ms + timing.decode_ms
        timing.wait_ms = max(1e3 * (now - max(arrived, self._replied_s)) - in_kernel_ms, 0.0)
        self._replied_s = now
        if readings.seq and self._pool.description is not None:
            self.meter.count(self._pool.description.exchange_ms, len(readings.spikes.sender))


SURVIVED = (pb.FAULT_CODE_CONFIGURATION, pb.FAULT_CODE_PROTOCOL, pb.FAULT_CODE_SNAPSHOT)
"""Faults that leave the episode as it was."""


class Sessions:
    """All sessions of a server."""

    def __init__(
        self,
        pool: Pool,
        *,
        lease_s: float,
        devices: DeviceLimits,
        on_end: Callable[[Session], None] | None = None,
    ) -> None:
        """Lease the brains of ``pool``.

        Args:
            pool: The brains.
            lease_s: How long a session outlives its last stream or request.
            devices: What a session may declare beside the brain's wiring.
            on_end: Told about each session that ended.
        """
        self._pool, self.lease_s, self._devices, self._on_end = pool, lease_s, devices, on_end
        self._open: dict[str, Session] = {}

    def __len__(self) -> int:
        """Return the number of open sessions."""
        return len(self._open)

    def open(self, client: str) -> Session:
        """Lease a brain to ``client``.

        Raises:
            ConfigurationError: The name can't be used.
            Refused: Every brain is leased (says to whom, and since when), or too many brains are lost.
        """
        if not (0 < len(client) <= NAME_LENGTH and client.isprintable()):
            raise ConfigurationError(f"a client's name has 1 to {NAME_LENGTH} printable characters")
        pool = self._pool
        if pool.living < pool.min_brains:
            raise Refused(
                f"{pool.living} of {len(pool.seats)} brains live, and this server lets nobody in with fewer "
                f"than {pool.min_brains}; open sessions go on, lost brains are built again: try later"
            )
        seat = pool.free_seat()
        if seat is None:
            raise Refused(self._who_holds())
        session = seat.holder = Session(client, self._pool, seat, self._devices)
        self._open[session.id] = session
        _LOGGER.info("session of %s begins on seat %d", client, seat.number)
        return session

    def find(self, session_id: str) -> Session:
        """Return the session with this id.

        Raises:
            SessionLost: There is none, or its lease ended.
        """
        session = self._open.get(session_id)
        if session is None:
            raise SessionLost(
                "no such session: its lease ended, or the server was started again; open another one"
            )
        return session

    def end(self, session: Session, why: str) -> None:
        """Take the brain back; may be called again."""
        if self._open.pop(session.id, None) is None:
            return
        self._pool.give_back(session.seat, session.end())
        self._tell_end(session, why)

    def end_all(self, why: str) -> None:
        """End every session at once and tell its client; no brain goes back to its start."""
        while self._open:
            _, session = self._open.popitem()
            session.end(why)
            self._tell_end(session, why)

    def _tell_end(self, session: Session, why: str) -> None:
        _LOGGER.info("session of %s ends: %s", session.client, why)
        if self._on_end is not None:
            self._on_end(session)

    async def end_vanished(self) -> None:
        """End sessions whose lease ran out, for ever."""
        while True:
            await asyncio.sleep(min(1.0, self.lease_s / 4))
            for session in list(self._open.values()):
                if session.idle_s() > self.lease_s:
                    self.end(session, f"its client was away for {self.lease_s:g} s")

    def _who_holds(self) -> str:
        holders = "; ".join(_holder(seat, self.lease_s) for seat in self._pool.seats)
        count = len(self._pool.seats)
        return f"{'the brain is' if count == 1 else f'all {count} brains are'} in use: {holders}"


def _holder(seat: Seat, lease_s: float) -> str:
    session = seat.holder
    if not isinstance(session, Session):
        return "nobody"
    since = datetime.fromtimestamp(session.since, UTC).isoformat(timespec="seconds")
    state = "connected" if session.stream is not None else f"away, its lease of {lease_s:g} s runs out"
    return f"{session.client} since {since} ({state})"
