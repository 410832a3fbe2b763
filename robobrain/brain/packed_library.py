"""What Python asks the module of packed neurons itself, past NEST: logged spikes and counts."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

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
        self.values = np.zeros(number)
        self._library = _library(module)
        self.first = int(self._library.robobrain_make_counts(ctypes.c_size_t(number)))
        self._where = (
            ctypes.c_size_t(self.first),
            ctypes.c_size_t(number),
            ctypes.c_void_p(self.values.ctypes.data),
        )

    def read(self) -> None:
        """Read the spikes that each has counted since it was made."""
        self._library.robobrain_copy_counts(*self._where)


@cache
def _library(module: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(module))
    library.robobrain_logged_spikes.restype = ctypes.c_size_t
    library.robobrain_make_counts.restype = ctypes.c_size_t
    library.robobrain_copy_counts.restype = None
    return library
