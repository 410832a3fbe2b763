"""What the kernel and the copies of it tell each other through their channels."""

from __future__ import annotations

from dataclasses import dataclass

from robobrain.brain.snapshots import Known, Origin


@dataclass(frozen=True)
class Ask:
    """From an episode: a request that it can't answer. The kernel's word is a reply, or None: end."""

    payload: bytes


@dataclass(frozen=True)
class Keep:
    """From an episode: a holder of its present instant waits. The kernel's word is a reply."""

    request_id: int
    pid: int
    parent: int
    seed: int
    seq: int
    t_ms: float


@dataclass(frozen=True)
class Started:
    """From an episode: digests of inputs and state of its first exchange."""

    origin: Origin
    inputs: bytes
    state: bytes


@dataclass(frozen=True)
class Over:
    """From an episode: it is over, the client knows."""


@dataclass(frozen=True)
class Wake:
    """To a holder: go on as the episode that ``payload`` asks for."""

    payload: bytes
    known: Known


@dataclass(frozen=True)
class Woken:
    """From a holder: it goes on, and process ``pid`` holds the instant in its place."""

    pid: int


@dataclass(frozen=True)
class Refused:
    """From a holder: there is no room for another copy."""

    why: str
