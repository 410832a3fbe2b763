"""The processes that simulate one brain together: MPI ranks, or this process alone.

All ranks do the same in the same order: each builds the network, and NEST keeps to each its share. Rank 0
talks to the client; what it hears is broadcast, and what the ranks have of the answer is brought to it.
"""

from __future__ import annotations

import sys
import time
from functools import cache
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from robobrain.errors import ConfigurationError

_NAP_S: Final = 5e-5
"""Pause between two looks for a broadcast: MPI itself would look without pause and keep a core busy."""
_LONG_NAP_S: Final = 2e-3
_PATIENCE_S: Final = 1.0
"""Wait after which the pauses are long: nobody drives the brain."""


class Ranks(Protocol):
    """The ranks of a brain, as each of them sees them.

    Attributes:
        rank: Number of this process, from 0.
        size: Number of ranks.
    """

    rank: int
    size: int

    def broadcast(self, payload: bytes) -> bytes:
        """Return on every rank what rank 0 gave; the others wait without using a core."""

    def total(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return on every rank the sum of all ranks' ``values``."""

    def gathered(self, value: Any) -> list[Any]:
        """Return on rank 0 the values of all ranks in their order, elsewhere nothing."""

    def end_all(self) -> None:
        """End all ranks at once, this one included."""


class Alone:
    """No ranks: this process has everything."""

    rank, size = 0, 1

    def broadcast(self, payload: bytes) -> bytes:
        """Return ``payload``."""
        return payload

    def total(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``values``."""
        return values

    def gathered(self, value: Any) -> list[Any]:
        """Return the one value."""
        return [value]

    def end_all(self) -> None:
        """End this process."""
        sys.exit(1)


class MpiRanks:
    """The processes that an MPI launcher started together with this one."""

    def __init__(self) -> None:
        """Begin MPI; NEST finds it begun.

        Raises:
            ConfigurationError: mpi4py or the MPI library is missing.
        """
        try:
            from mpi4py import MPI  # noqa: PLC0415 - an extra
        except (ImportError, RuntimeError) as error:
            raise ConfigurationError(
                f"a brain on ranks needs mpi4py and an MPI library ({error}); 'make mpi' installs them"
            ) from error
        self._mpi: Any = MPI
        self._world: Any = MPI.COMM_WORLD
        self.rank, self.size = int(self._world.rank), int(self._world.size)

    def broadcast(self, payload: bytes) -> bytes:
        """Return what rank 0 gave."""
        size = np.array([len(payload)], dtype=np.int64)
        self._await(self._world.Ibcast(size))
        content = np.frombuffer(bytearray(payload or bytes(int(size[0]))), dtype=np.uint8)
        if len(content):
            self._world.Bcast(content)
        return content.tobytes()

    def total(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum."""
        whole = np.empty_like(values)
        self._world.Allreduce(values, whole)
        return whole

    def gathered(self, value: Any) -> list[Any]:
        """Return the values on rank 0."""
        return self._world.gather(value) or []

    def end_all(self) -> None:
        """End all ranks."""
        self._world.Abort(1)

    def _await(self, request: Any) -> None:
        since = time.monotonic()
        while not request.Test():
            time.sleep(_NAP_S if time.monotonic() - since < _PATIENCE_S else _LONG_NAP_S)


_ALONE: Final = Alone()


@cache
def _mpi_ranks() -> MpiRanks:
    return MpiRanks()


def join() -> Ranks:
    """Become one of the ranks that a launcher started; call before NEST is imported.

    Raises:
        ConfigurationError: mpi4py or the MPI library is missing.
    """
    return _mpi_ranks()


def ranks() -> Ranks:
    """Return the ranks that this process has joined, itself alone where it has not."""
    return _mpi_ranks() if _mpi_ranks.cache_info().currsize else _ALONE
