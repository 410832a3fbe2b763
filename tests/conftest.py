"""Settings of the whole test session."""

from __future__ import annotations

import os

import pytest

import robobrain.bridge  # noqa: F401 - before any test imports gRPC, which it sets up
from robobrain.brain.openmp import configure_openmp
from robobrain.brain.packed import module_path

# Before any test imports NEST; networks in the test process run on one thread, others in their own process.
configure_openmp(1)


@pytest.fixture(params=["nest", "packed"])
def panel_models(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have the panels of a test made of NEST's own generators and counters, and of packed ones."""
    import devices_brain

    models: str = request.param
    if models == "packed":
        module = module_path()
        if module is None and not os.environ.get("CI"):
            pytest.skip("packed neurons are not compiled")
        monkeypatch.setattr(devices_brain, "MODULE", module)
    return models
