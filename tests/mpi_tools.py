"""Helpers of the tests of ranks."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys

import numpy as np

from robobrain.bridge import LocalBrain
from robobrain.bridge.remote import RemoteBrain
from robobrain.seeding import generator

Course = tuple[np.ndarray, np.ndarray, np.ndarray]


def why_not() -> str:
    """Return what is missing for ranks, empty where they can run."""
    if shutil.which("mpirun") is None:
        return "no mpirun"
    if importlib.util.find_spec("mpi4py") is None:
        return "no mpi4py: run 'make mpi' and use .venv-mpi"
    asked = subprocess.run(
        [sys.executable, "-c", "import nest; print('MPI', nest.build_info['have_mpi'])"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if "MPI True" in asked.stdout else "this NEST has no MPI: run 'make mpi' and use .venv-mpi"


def course(brain: LocalBrain | RemoteBrain, seed: int, steps: int = 8, inputs: int = 1) -> Course:
    """Run an episode with random inputs; return outputs, spike times and senders."""
    values = generator(inputs, "test").random((steps, brain.description.input_size), dtype=np.float32)
    readings = [brain.reset(seed)] + [brain.step(one) for one in values]
    spikes = [one for one in (*(reading.spikes for reading in readings), brain.collect()) if one is not None]
    return (
        np.array([one.outputs for one in readings]),
        np.concatenate([one.t_ms for one in spikes]),
        np.concatenate([one.sender for one in spikes]),
    )


def equal(one: Course, other: Course) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
