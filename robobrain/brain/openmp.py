"""Settings of a process that runs NEST. They act only before NEST is imported."""

from __future__ import annotations

import os
import sys

from robobrain.errors import ConfigurationError


def configure_openmp(threads: int) -> None:
    """Set threads and waiting policy of the OpenMP runtime that NEST will load, and keep NEST from greeting.

    Idle threads sleep (``OMP_WAIT_POLICY=passive``): on shared cores actively waiting ones made a brain of
    10,000 neurons ten times slower (measured). The runtime's thread count must equal NEST's, else a forked
    kernel silently loses spikes (measured).

    Raises:
        ConfigurationError: NEST is already imported with other settings.
    """
    wanted = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    if "nest" in sys.modules and any(os.environ.get(name) != value for name, value in wanted.items()):
        raise ConfigurationError(
            f"NEST is already imported in this process with other OpenMP settings than {wanted}. "
            "Run the brain in its own process, or import nest only after this call."
        )
    os.environ.update(wanted | {"PYNEST_QUIET": "1"})
