"""Settings of the whole test session."""

from __future__ import annotations

import robobrain.bridge  # noqa: F401 - before any test imports gRPC, which it sets up
from robobrain.brain.openmp import configure_openmp

# Before any test imports NEST; networks in the test process run on one thread, others in their own process.
configure_openmp(1)
