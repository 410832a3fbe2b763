"""Warm brains: a seat for each, filled again after its kernel was lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from robobrain.bridge.server.answers import Answer
from robobrain.bridge.server.kernel import Kernel
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import BrainFault, RobobrainError

_LOGGER = logging.getLogger(__name__)
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.5, 60.0


class Seat:
    """A place for one brain.

    Attributes:
        number: From 1.
        kernel: The brain's process; None while one is built.
        holder: The session that has it; None when it is free.
        returning: The way of its brain back to its start; who takes the seat meanwhile waits for it.
        phase: Phase of the building.
        fraction: Part of the phase that is done.
        faults: Kernels that were lost here.
        last_fault: How the last one was lost.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.kernel: Kernel | None = None
        self.holder: object | None = None
        self.returning: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()
        self.phase, self.fraction = "start", 0.0
        self.faults, self.last_fault = 0, ""

    @property
    def is_ready(self) -> bool:
        """There is a brain, and it lives."""
        return self.kernel is not None and not self.kernel.lost.is_set()

    @property
    def is_returning(self) -> bool:
        """Its brain is on the way back to its start."""
        return self.returning is not None and not self.returning.done()

    def progress(self, phase: str, fraction: float) -> None:
        """Note how far the building is."""
        self.phase, self.fraction = phase, fraction


class Pool:
    """Keeps one kernel per seat alive.

    Attributes:
        seats: The seats.
        min_brains: With fewer living brains than this nobody else is let in.
        description: What the brains are; None until the first is built.
    """

    def __init__(self, command: Sequence[str], size: int, *, stall_s: float, min_brains: int = 0) -> None:
        """Prepare ``size`` seats for kernels started by ``command``; :meth:`start` fills them.

        Args:
            command: Program and arguments of a kernel.
            size: Number of seats.
            stall_s: How long a kernel that owes an answer may come to a halt before it counts as hung.
            min_brains: With fewer living brains than this nobody else is let in.
        """
        self._command, self._stall_s, self.min_brains = command, stall_s, min_brains
        self.seats = [Seat(number) for number in range(1, size + 1)]
        self.description: pb.Description | None = None
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to fill the seats, and wait for the first brain.

        Raises:
            RobobrainError: The first brain can't be built; nothing is left running.
        """
        first = await self._build(self.seats[0])
        self.description = first.description
        self._keepers = [
            asyncio.create_task(self._keep(seat, first if seat.number == 1 else None)) for seat in self.seats
        ]

    def stop_filling(self) -> None:
        """Build no brain any more; those that live stay."""
        for keeper in self._keepers:
            keeper.cancel()

    async def close(self) -> None:
        """End all kernels."""
        tasks = self._keepers + [seat.returning for seat in self.seats if seat.returning is not None]
        for task in tasks:
            if not task.cancelling():  # a second time would break off the end of what it has started
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        kernels = [seat.kernel for seat in self.seats if seat.kernel is not None]
        await asyncio.gather(*(kernel.end() for kernel in kernels))

    @property
    def living(self) -> int:
        """Number of brains that are built and alive."""
        return sum(seat.is_ready for seat in self.seats)

    def free_seat(self) -> Seat | None:
        """Return a seat that nobody holds, one with a living brain before others; None if there is none."""
        free = [seat for seat in self.seats if seat.holder is None]
        return min(free, key=lambda seat: (not seat.is_ready, seat.is_returning), default=None)

    def move(self, holder: object, seat: Seat) -> Seat:
        """Return a free seat with a living brain, now held by ``holder``; ``seat`` where there is none."""
        other = self.free_seat()
        if other is None or not other.is_ready:
            return seat
        seat.holder, other.holder = None, holder
        return other

    def give_back(self, seat: Seat, after: Answer | None) -> None:
        """Free a seat and let its brain go back to its start, after a last request."""
        seat.holder = None
        seat.returning = asyncio.create_task(self._return_to_start(seat, after))

    async def _return_to_start(self, seat: Seat, after: Answer | None) -> None:
        if after is not None:
            await after.wait()
        if seat.kernel is None:
            return  # the next one begins at its start
        try:
            await seat.kernel.return_to_start()
        except BrainFault as fault:
            _LOGGER.warning("seat %d: %s on the way to its start", seat.number, fault)

    async def _keep(self, seat: Seat, kernel: Kernel | None) -> None:
        """Keep a brain in ``seat``, waiting longer after each failure to build one."""
        delay_s = _FIRST_DELAY_S
        while True:
            try:
                kernel = kernel or await self._build(seat)
            except RobobrainError as error:
                self._note(seat, str(error))
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, _LONGEST_DELAY_S)
                continue
            delay_s = _FIRST_DELAY_S
            await kernel.lost.wait()
            self._note(seat, kernel.reason, kernel.log_tail)
            seat.ready.clear()
            kernel = seat.kernel = None

    async def _build(self, seat: Seat) -> Kernel:
        seat.progress("start", 0.0)
        kernel = await Kernel.start(self._command, stall_s=self._stall_s, on_progress=seat.progress)
        seat.kernel = kernel
        seat.progress("ready", 1.0)
        seat.ready.set()
        _LOGGER.info("seat %d: brain %s is ready", seat.number, kernel.description.brain)
        return kernel

    def _note(self, seat: Seat, fault: str, log: str = "") -> None:
        seat.faults += 1
        seat.last_fault = fault
        _LOGGER.error(
            "seat %d: the brain's process %s; another is started%s", seat.number, fault, log and f"\n{log}"
        )
