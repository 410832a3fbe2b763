"""Kept instants of a brain, as its clients ask for them: one code for the pipe and for gRPC."""

from __future__ import annotations

import logging
import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence

from robobrain.bridge.codec import decode_snapshot
from robobrain.bridge.messages import Description, Readings, SnapshotInfo
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import ConfigurationError

_LOGGER = logging.getLogger(__name__)
_END = 2**64


class KeepsInstants(ABC):
    """The part of a connection that keeps instants of its brain's episodes and continues them."""

    description: Description

    def snapshot(self) -> int:
        """Keep the present instant of the episode, which goes on, and return its number.

        The instant holds all that the brain's future depends on, spikes in flight and random numbers
        included. Beyond the brain's limits those not used for longest are given up; restoring them fails.

        Raises:
            ConfigurationError: No episode has begun, or this brain keeps no snapshots.
            SnapshotFault: There is no room for another copy of the brain; the episode goes on.
            BrainFault: The brain or its episode was lost.
        """
        self._check_running("snapshot()")
        answer = self._ask_about_instants(pb.Request(snapshot=pb.Snapshot()))
        if answer.evicted:
            _LOGGER.warning("snapshot %d took the place of %s", answer.taken, list(answer.evicted))
        return int(answer.taken)

    def restore(self, snapshot: int, seed: int | None = None, *, silence: Sequence[str] = ()) -> Readings:
        """Continue a kept instant in place of the running episode, if there is one.

        Args:
            snapshot: A number that ``snapshot()`` gave.
            seed: None to continue with exactly the random numbers that would have come; else their seed.
            silence: Populations, or regions as a whole, whose neurons fire no more from here on; ``PRE:POST``
                cuts the synapses between two of them (``*`` for all).

        Returns:
            Readings with number, time and outputs of the last step before the instant.

        Raises:
            ConfigurationError: There is no such instant, population or region.
            SnapshotFault: The instant is lost or there is no room for a copy; the running episode goes on.
            BrainFault: The brain was lost.
        """
        number = None if seed is None else exact_seed(seed)
        self.description.check_places(silence)
        restore = pb.Restore(snapshot=_exact_id(snapshot), seed=number, silence=silence)
        return self._begin(pb.Request(restore=restore))

    def drop(self, snapshot: int) -> None:
        """Forget a kept instant and free its memory.

        Raises:
            ConfigurationError: There is no such instant.
            BrainFault: The brain was lost.
        """
        self._ask_about_instants(pb.Request(drop=pb.Drop(snapshot=_exact_id(snapshot))))

    def snapshots(self) -> tuple[SnapshotInfo, ...]:
        """Return the kept instants, in the order of their numbers, and the memory that each takes now.

        Raises:
            BrainFault: The brain was lost.
        """
        answer = self._ask_about_instants(pb.Request(list_snapshots=pb.ListSnapshots()))
        return tuple(decode_snapshot(held) for held in answer.held)

    @abstractmethod
    def _check_running(self, call: str) -> None:
        """Refuse ``call`` while no episode runs."""

    @abstractmethod
    def _begin(self, request: pb.Request) -> Readings:
        """Have the brain begin or continue an episode; where it can't, the one that runs goes on."""

    @abstractmethod
    def _ask_about_instants(self, request: pb.Request) -> pb.Snapshots:
        """Send ``request`` and return the answer; raises what a fault stands for."""


def exact_seed(seed: int) -> int:
    """Return ``seed`` as the number that travels.

    Raises:
        ConfigurationError: It is no whole number from 0 to 2**64 - 1.
    """
    try:
        number = operator.index(seed)
    except TypeError:
        raise ConfigurationError(f"a seed is a whole number, not {seed!r}") from None
    if not 0 <= number < _END:
        raise ConfigurationError(f"seed {number} is outside 0 ... 2**64 - 1")
    return number


def _exact_id(snapshot: int) -> int:
    try:
        number = operator.index(snapshot)
    except TypeError:
        number = -1
    if not 0 < number < _END:
        raise ConfigurationError(f"there is no snapshot {snapshot!r}; snapshot() gives their numbers, from 1")
    return number
