"""A long session: memory stays flat. ROBOBRAIN_HOURS sets its length in model time (0.05 by default)."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from loop_doubles import RelayBrain

from robobrain import Loop, recording
from robobrain.body import Forelimb
from robobrain.bridge.messages import Spikes
from robobrain.tasks.joystick import JoystickTask, load_task
from robobrain.tasks.joystick.streams import Recorder

HOURS = float(os.environ.get("ROBOBRAIN_HOURS", "0.05"))
EXCHANGE_MS = 10.0
SPIKES_HZ = 50_000
"""Of the small brain: 10,000 neurons at 5 Hz."""


def resident_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_memory_is_flat(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    loop = Loop(RelayBrain(), Forelimb(), JoystickTask(load_task()))
    loop.reset(1)
    frames = [loop.step(rng.random(8)) for _ in range(100)]
    per_frame = int(SPIKES_HZ * EXCHANGE_MS / 1e3)
    ages = np.sort(rng.integers(0, 20, per_frame)) * 0.5
    senders = rng.integers(1, 10_000, per_frame).astype(np.uint32)
    exchanges = int(HOURS * 3.6e6 / EXCHANGE_MS)
    memory = []
    with recording.create(tmp_path / "run", {}, segment_bytes=8 * 2**20) as writer:
        recorder = Recorder(writer, loop.brain.description)
        for number in range(1, exchanges + 1):
            t_ms = number * EXCHANGE_MS
            spikes = Spikes(t_ms=t_ms - 9.5 + ages, sender=senders)
            recorder.add(replace(frames[number % 100], t_ms=t_ms, spikes=spikes, events=(), trial=None))
            if number % (exchanges // 10) == 0:
                writer.flush()
                memory.append(resident_mb())
        recorder.flush()
    run = recording.open(tmp_path / "run")
    size = sum(path.stat().st_size for path in run.segments)
    print(f"\n{HOURS:g} h: {np.round(memory, 1).tolist()} MB, store {size / HOURS / 1e9:.2f} GB per hour")
    assert max(memory) - memory[0] < 100  # what may wait for the disk, and what the allocator keeps
    assert max(memory[5:]) - memory[4] < 16
    assert run.spike_count == exchanges * per_frame
    assert len(run.array("phase_time_ms", 0, 1e4)[0]) == 999
