"""The kept instants of a session, under numbers of its own."""

from __future__ import annotations

from robobrain.bridge.server.kernel import Kernel
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import ConfigurationError, SnapshotFault


class Instants:
    """Which instant of which kernel each number of a session stands for.

    A session counts from 1, whoever used the brain before, and goes on counting when it moves to another
    brain: a number never stands for two instants.
    """

    def __init__(self) -> None:
        self._held: dict[int, tuple[Kernel, int]] = {}
        self._taken = 0

    async def ask(self, kernel: Kernel, request: pb.Request) -> pb.Reply:
        """Pass a request about instants on to ``kernel`` and return the answer in the session's numbers.

        Raises:
            ConfigurationError: There is no such instant.
            SnapshotFault: It went with the process of its brain.
            BrainFault: The kernel was lost.
        """
        passed = pb.Request()
        passed.CopyFrom(request)
        number = theirs = 0
        if request.HasField("restore"):
            number = request.restore.snapshot
            theirs = passed.restore.snapshot = self._find(kernel, number)
        elif request.HasField("drop"):
            number = request.drop.snapshot
            theirs = passed.drop.snapshot = self._find(kernel, number)
        reply = await kernel.exchange(passed)
        if reply.HasField("fault"):
            reply.fault.message = reply.fault.message.replace(f"snapshot {theirs} ", f"snapshot {number} ")
        elif request.HasField("drop"):
            del self._held[number]
        if reply.HasField("snapshots"):
            self._translate(kernel, reply.snapshots)
        return reply

    def clear(self) -> None:
        """Forget all of them, as the brain did."""
        self._held.clear()

    def _find(self, kernel: Kernel, number: int) -> int:
        if number not in self._held:
            known = ", ".join(map(str, self._held)) or "none"
            if 0 < number <= self._taken:
                raise ConfigurationError(
                    f"snapshot {number} is gone: dropped, or given up as the least recently used, or by a "
                    f"change of the devices; there are: {known}"
                )
            raise ConfigurationError(f"there is no snapshot {number}; there are: {known}")
        owner, theirs = self._held[number]
        if owner is not kernel:
            raise SnapshotFault(f"snapshot {number} was lost with the brain's process")
        return theirs

    def _translate(self, kernel: Kernel, answer: pb.Snapshots) -> None:
        if answer.taken:
            self._taken += 1
            self._held[self._taken] = (kernel, answer.taken)
            answer.taken = self._taken
        ours = {theirs: number for number, (owner, theirs) in self._held.items() if owner is kernel}
        evicted = [ours[theirs] for theirs in answer.evicted if theirs in ours]
        for number in evicted:
            del self._held[number]
        answer.evicted[:] = evicted
        for info in answer.held:
            info.id, info.parent = ours.get(info.id, 0), ours.get(info.parent, 0)
