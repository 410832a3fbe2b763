"""What Python asks the module of packed neurons itself, past NEST: logged spikes, counts, rates."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
        values: What was last read, float64[number].
    """

    def __init__(self, module: Path, number: int) -> None:
        """Make so many counts in the ``module`` that the kernel has loaded."""
        self._library, self.values = _library(module), np.zeros(number)
        self.first = int(self._library.robobrain_make_counts(ctypes.c_size_t(number)))
        self._place = _place(self.first, self.values)

    def read(self) -> None:
        """Read the spikes that each has counted since it was made."""
        self._library.robobrain_copy_counts(*self._place)


class Rates:
    """The rates of some packed rate sources of this process.

    Attributes:
        first: Place of the first among all rates, for the parameter ``place`` of its source.
        values: What is written next (Hz), float64[number].
    """

    def __init__(self, module: Path, number: int) -> None:
        """Make so many rates, all 0, in the ``module`` that the kernel has loaded."""
        self._library, self.values = _library(module), np.zeros(number)
        self.first = int(self._library.robobrain_make_rates(ctypes.c_size_t(number)))
        self._place = _place(self.first, self.values)

    def write(self) -> None:
        """Let the values act from NEST's present time on."""
        self._library.robobrain_set_rates(*self._place)


def _place(first: int, values: NDArray[np.float64]) -> tuple[Any, ...]:
    """Return what tells the module where numbers are, on either side."""
    return (
        ctypes.c_size_t(first),
        ctypes.c_size_t(values.size),
        ctypes.c_void_p(values.ctypes.data),
    )


@cache
def _library(module: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(module))
    library.robobrain_logged_spikes.restype = ctypes.c_size_t
    library.robobrain_make_counts.restype = ctypes.c_size_t
    library.robobrain_make_rates.restype = ctypes.c_size_t
    library.robobrain_copy_counts.restype = library.robobrain_set_rates.restype = None
    return library
