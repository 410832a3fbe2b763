"""Resets by the thousand: nothing grows."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from bridge_processes import settled_descriptors, settled_group

from robobrain.brain.config import local_brain
from robobrain.brain.holder import memory_of
from robobrain.bridge.messages import readings_digest

pytestmark = pytest.mark.slow
RESETS = 1000


def test_a_thousand_resets_leave_memory_processes_and_descriptors_flat() -> None:
    with local_brain("tiny", threads=2, record_spikes=True) as brain:
        inputs = np.full(brain.description.input_size, 0.5)
        instant = 0
        seen: list[tuple[int, int, float]] = []
        episodes: dict[int, bytes] = {}
        for number in range(RESETS + 1):
            seed = number % 5
            brain.reset(seed)
            digest = readings_digest(brain.step(inputs))
            assert episodes.setdefault(seed, digest) == digest
            if number % 10 == 0:
                if instant:
                    brain.drop(instant)
                instant = brain.snapshot()
                brain.restore(instant)
            if number % 250 == 0:
                pids = settled_group(brain.kernel_pid, 3)
                descriptors = settled_descriptors(pids)
                private, shared = memory_of(brain.kernel_pid)
                seen.append((len(pids), descriptors, (private + shared) / 2**20))
                assert len(list(Path(f"/proc/{os.getpid()}/fd").iterdir())) < 100
    processes, descriptors, megabytes = (set(column) for column in zip(*seen[1:], strict=True))
    assert len(processes) == len(descriptors) == 1
    assert max(megabytes) - min(megabytes) < 4.0
