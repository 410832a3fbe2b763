"""What some connections to a brain can do beyond the exchange in lock-step, as their users see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from numpy.typing import ArrayLike

from robobrain.bridge.link import BrainLink
from robobrain.bridge.messages import Readings, SnapshotInfo


@runtime_checkable
class BranchingLink(BrainLink, Protocol):
    """A connection to a brain that keeps instants and continues them."""

    def snapshot(self) -> int:
        """Keep the present instant and return its number; the episode goes on."""

    def restore(self, snapshot: int, seed: int | None = None, *, silence: Sequence[str] = ()) -> Readings:
        """Continue a kept instant in place of the running episode."""

    def drop(self, snapshot: int) -> None:
        """Forget a kept instant."""

    def snapshots(self) -> tuple[SnapshotInfo, ...]:
        """Return the kept instants and what they cost."""


@runtime_checkable
class OverlappingLink(BrainLink, Protocol):
    """A connection to a brain that computes while its user does something else.

    Two steps can be under way: the brain goes from one to the next without waiting for its user.
    """

    def begin_step(self, inputs: ArrayLike) -> None:
        """Apply ``inputs`` once the steps before are done, and let the brain compute."""

    def finish_step(self) -> Readings:
        """Wait for the end of the first step that was begun and not finished; return what came of it."""
