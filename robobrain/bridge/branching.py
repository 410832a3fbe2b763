"""A brain whose instants can be kept and continued, as its user sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

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
