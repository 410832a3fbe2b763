"""The settled brain with its devices: made once, held in a process of its own, replaced when it is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bridge_processes import group_of, settled_group, wait_until_gone
from test_kernel_devices import ACTORS, LISTENERS

from robobrain.brain.config import local_brain
from robobrain.brain.devices import joined, to_text
from robobrain.bridge import LocalBrain
from robobrain.bridge.messages import readings_digest
from robobrain.errors import BrainFault, ConfigurationError

pytestmark = pytest.mark.slow

EQUIPPED = to_text(joined(ACTORS, LISTENERS))


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def brain(request: pytest.FixtureRequest) -> Iterator[LocalBrain]:
    with local_brain("tiny", threads=request.param) as one:
        yield one
    assert not group_of(one.kernel_pid)


def episode(brain: LocalBrain, seed: int) -> list[bytes]:
    """Return digests of an episode that is long enough to hand out histories."""
    first = brain.reset(seed)
    inputs = np.full(brain.description.input_size, 0.5)
    return [readings_digest(one) for one in (first, *(brain.step(inputs) for _ in range(25)))]


def youngest(pids: set[int]) -> int:
    """Return the process that was started last: a holder, since it is forked when an episode begins."""
    return max(
        pids, key=lambda pid: int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    )


def test_one_process_holds_the_devices_for_all_episodes(brain: LocalBrain) -> None:
    bare = episode(brain, 1)
    brain.configure(EQUIPPED)
    expected = episode(brain, 1)
    assert expected != bare
    for _ in range(3):
        assert episode(brain, 2) != expected
        assert episode(brain, 1) == expected
    settled_group(brain.kernel_pid, 3)
    brain.configure("")
    assert episode(brain, 1) == bare
    settled_group(brain.kernel_pid, 2)
    brain.configure(EQUIPPED)
    assert episode(brain, 1) == expected


def test_a_lost_holder_is_replaced_and_the_episode_goes_on(brain: LocalBrain) -> None:
    brain.configure(EQUIPPED)
    expected = episode(brain, 1)
    inputs = np.zeros(brain.description.input_size)
    holder = youngest(settled_group(brain.kernel_pid, 3))
    os.kill(holder, signal.SIGKILL)
    assert not wait_until_gone({holder})
    brain.step(inputs)
    assert episode(brain, 1) == expected
    settled_group(brain.kernel_pid, 3)


def test_the_holder_outlives_a_lost_episode(brain: LocalBrain) -> None:
    brain.configure(EQUIPPED)
    expected = episode(brain, 1)
    everyone = settled_group(brain.kernel_pid, 3)
    (running,) = everyone - {brain.kernel_pid, youngest(everyone)}
    os.kill(running, signal.SIGKILL)
    with pytest.raises(BrainFault, match="signal 9"):
        brain.step(np.zeros(brain.description.input_size))
    assert episode(brain, 1) == expected


def test_wired_devices_that_do_not_fit_are_refused_at_each_reset(tmp_path: Path) -> None:
    wiring = tmp_path / "wiring.yaml"
    wiring.write_text(
        "inputs: []\noutputs: []\nsilenced: [{name: lesion, targets: [{population: nowhere}]}]\n",
        encoding="utf-8",
    )
    with local_brain("tiny", threads=1, interfaces=wiring) as brain:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="nowhere"):
                brain.reset(1)
        settled_group(brain.kernel_pid, 1)
