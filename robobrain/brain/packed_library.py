"""What Python asks the module of packed neurons itself, past NEST: logged spikes, counts, rates."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robobrain.errors import BrainFault


class SpikeLog:
    """The spikes of those packed neurons of this process whose parameter ``recorded`` is true."""

    def __init__(self, module: Path, threads: int) -> None:
        """Find the log in the ``module`` that the kernel has loaded, with so many threads."""
        self._library, self._threads = _library(module), threads

    def take(self) -> NDArray[np.int64]:
        """Return the spikes since the last call, in no order: steps and identifiers (see `SENDER_BITS`)."""
        parts = [self._logged(thread) for thread in range(self._threads)]
        self._library.robobrain_forget_spikes()
        return np.concatenate(parts)

    def _logged(self, thread: int) -> NDArray[np.int64]:
        address = ctypes.POINTER(ctypes.c_int64)()
        number = self._library.robobrain_logged_spikes(ctypes.c_size_t(thread), ctypes.byref(address))
        return np.ctypeslib.as_array(address, (number,)).copy() if number else np.empty(0, dtype=np.int64)


class SpikeCounts:
    """The counts of some packed counters of this process.

    Attributes:
        first: Place of the first among all counts, for the parameter ``place`` of its counter.
    """

    def __init__(self, module: Path, number: int) -> None:
        """Make so many counts in the ``module`` that the kernel has loaded."""
        library = _library(module)
        self._values, self._copy = np.zeros(number), library.robobrain_copy_counts
        self.first, self._arguments = _made(library.robobrain_make_counts, self._values)

    def read(self) -> NDArray[np.float64]:
        """Return the spikes that each has counted since it was made, float64[number], the caller's own.

        Raises:
            BrainFault: The kernel has been reset since they were made.
        """
        if not self._copy(*self._arguments):
            raise BrainFault("the kernel has been reset: its counters are gone")
        return self._values.copy()


class Rates:
    """The rates of some packed rate sources of this process; they are 0 until they are written.

    Attributes:
        first: Place of the first among all rates, for the parameter ``place`` of its source.
    """

    def __init__(self, module: Path, number: int) -> None:
        """Make so many rates in the ``module`` that the kernel has loaded."""
        library = _library(module)
        self._values, self._set = np.zeros(number), library.robobrain_set_rates
        self.first, self._arguments = _made(library.robobrain_make_rates, self._values)

    def write(self, rates_hz: ArrayLike) -> None:
        """Let rates [number], or the same one for all, act from NEST's present time on.

        Raises:
            BrainFault: The kernel has been reset since they were made.
        """
        self._values[:] = rates_hz
        if not self._set(*self._arguments):
            raise BrainFault("the kernel has been reset: its sources are gone")


def _made(make: Callable[..., int], values: NDArray[np.float64]) -> tuple[int, tuple[Any, ...]]:
    """Make places for numbers; return the first, and the arguments that bring them from or to ``values``."""
    age, number = ctypes.c_size_t(), ctypes.c_size_t(values.size)
    first = int(make(number, ctypes.byref(age)))
    return first, (age, ctypes.c_size_t(first), number, ctypes.c_void_p(values.ctypes.data))


@cache
def _library(module: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(module))
    for name in ("logged_spikes", "make_counts", "make_rates"):
        getattr(library, f"robobrain_{name}").restype = ctypes.c_size_t
    for name in ("copy_counts", "set_rates"):
        getattr(library, f"robobrain_{name}").restype = ctypes.c_bool
    return library
