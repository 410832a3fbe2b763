"""The kept instants of a brain: which process holds each, what it costs, and when one has to go."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from robobrain.brain.holder import Channel, memory_of
from robobrain.brain.limits import Limits
from robobrain.bridge.messages import SnapshotInfo
from robobrain.errors import ConfigurationError, SnapshotFault

_STARTS_REMEMBERED = 64

Inputs = bytes
State = bytes
Known = Mapping[Inputs, State]
"""Digests of states after first exchanges, by digests of the inputs."""
Origin = tuple[int, int | None, tuple[str, ...]]
"""Where an episode comes from: number of the instant, seed it was given there (None: none), and lesion."""


class Holder(NamedTuple):
    """A process that holds an instant, and the line to it."""

    pid: int
    channel: Channel


@dataclass(kw_only=True)
class Kept:
    """An instant and its holder."""

    holder: Holder
    parent: int
    seed: int
    seq: int
    t_ms: float
    restores: int = 0
    used: int = 0


@dataclass
class Snapshots:
    """All kept instants by number, and the first exchanges that followed each origin."""

    limits: Limits
    _held: dict[int, Kept] = field(default_factory=dict)
    _evicted: set[int] = field(default_factory=set)
    _lost: set[int] = field(default_factory=set)
    _starts: dict[Origin, dict[Inputs, State]] = field(default_factory=dict)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _uses: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def add(self, kept: Kept) -> tuple[int, list[int]]:
        """Keep an instant; return its number and those that had to go for it, least recently used first."""
        number = next(self._ids)
        kept.used = next(self._uses)
        self._held[number] = kept
        evicted = []
        while len(self._held) > 1 and self._is_over():
            oldest = min(self._held, key=lambda one: self._held[one].used)
            self.drop(oldest)
            evicted.append(oldest)
        self._evicted.update(evicted)
        return number, evicted

    def _is_over(self) -> bool:
        if len(self._held) > self.limits.count:
            return True
        if self.limits.private_bytes is None:
            return False
        return sum(memory_of(kept.holder.pid)[0] for kept in self._held.values()) > self.limits.private_bytes

    def use(self, number: int) -> Kept:
        """Return an instant that is about to be restored.

        Raises:
            ConfigurationError: There is no such instant; the message says whether it was evicted.
            SnapshotFault: Its holder was lost.
        """
        kept = self._find(number)
        kept.used = next(self._uses)
        return kept

    def drop(self, number: int) -> None:
        """Forget an instant; its holder ends as its channel does.

        Raises:
            ConfigurationError: There is no such instant.
        """
        self._find(number).holder.channel.close()
        self.forget(number)

    def lose(self, number: int) -> SnapshotFault:
        """Forget an instant whose holder is gone; return what to tell about it."""
        self.drop(number)
        self._lost.add(number)
        return _lost(number)

    def forget(self, number: int) -> None:
        """Forget an instant whose channel serves something else now."""
        del self._held[number]
        for origin in [origin for origin in self._starts if origin[0] == number]:
            del self._starts[origin]

    def clear(self) -> None:
        """Forget all instants, and all that followed any instant, the settled one included."""
        for number in list(self._held):
            self.drop(number)
        self._starts.clear()

    def close(self) -> None:
        """Let go of all channels: in a copy of the kernel they are not this process's to keep."""
        for kept in self._held.values():
            kept.holder.channel.close()

    def infos(self) -> list[SnapshotInfo]:
        """Return what each instant is and costs now; those whose holders were lost are forgotten."""
        for number in [number for number, kept in self._held.items() if kept.holder.channel.is_lost()]:
            self.lose(number)
        return [_info(number, kept) for number, kept in self._held.items()]

    def starts(self, origin: Origin) -> Known:
        """Return the digests after the first exchanges that followed ``origin``, by digests of the inputs."""
        return dict(self._starts.get(origin, {}))

    def record_start(self, origin: Origin, inputs: Inputs, state: State) -> None:
        """Remember the digest after a first exchange; the oldest origins and inputs are forgotten."""
        known = self._starts.pop(origin, {})
        known[inputs] = state
        self._starts[origin] = known
        while len(known) > _STARTS_REMEMBERED:
            del known[next(iter(known))]
        while len(self._starts) > _STARTS_REMEMBERED:
            del self._starts[next(iter(self._starts))]

    def _find(self, number: int) -> Kept:
        if number in self._held:
            return self._held[number]
        if number in self._evicted:
            raise ConfigurationError(
                f"snapshot {number} was given up as the least recently used: "
                f"{self.limits.count} are kept at most"
                + (f", with {self.limits.private_bytes} bytes" if self.limits.private_bytes else "")
            )
        if number in self._lost:
            raise _lost(number)
        known = ", ".join(map(str, self._held)) or "none"
        raise ConfigurationError(f"there is no snapshot {number}; there are: {known}")


def _lost(number: int) -> SnapshotFault:
    return SnapshotFault(
        f"snapshot {number} is gone: the process that held it was lost, by a signal or for want of memory"
    )


def _info(number: int, kept: Kept) -> SnapshotInfo:
    private, shared = memory_of(kept.holder.pid)
    return SnapshotInfo(
        id=number,
        parent=kept.parent,
        seq=kept.seq,
        t_ms=kept.t_ms,
        seed=kept.seed,
        restores=kept.restores,
        pid=kept.holder.pid,
        private_bytes=private,
        shared_bytes=shared,
    )
