"""Resets without fork: the settled state is set again, and an episode repeats with its seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from robobrain.brain.config import kernel_config, local_brain
from robobrain.brain.devices import Devices, to_text
from robobrain.brain.signals import GlobalSource
from robobrain.bridge import LocalBrain
from robobrain.bridge.messages import Resets
from robobrain.errors import ConfigurationError
from robobrain.seeding import generator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[1, 2], ids=["1 thread", "2 threads"])
def brain(request: pytest.FixtureRequest) -> Iterator[LocalBrain]:
    with local_brain("tiny", threads=request.param, record_spikes=True, resets="reinitialisation") as one:
        yield one


def episode(brain: LocalBrain, seed: int, steps: int = 8, inputs: int = 1) -> tuple[bytes, int]:
    """Return all that an episode gave out, and its number of spikes."""
    values = generator(inputs, "test").random((steps, brain.description.input_size), dtype=np.float32)
    outputs = [brain.reset(seed).outputs] + [brain.step(one).outputs for one in values]
    spikes = brain.collect()
    assert spikes is not None
    return b"".join([*map(np.ndarray.tobytes, outputs), spikes.t_ms.tobytes(), spikes.sender.tobytes()]), len(
        spikes.t_ms
    )


def test_episodes_repeat_whatever_was_run_before_them(brain: LocalBrain) -> None:
    episode(brain, 1)
    first = episode(brain, 2)
    episode(brain, 3, steps=15, inputs=2)
    assert episode(brain, 2) == first
    brain.reset(4)  # abandoned at once
    assert episode(brain, 2) == first
    assert episode(brain, 5) != first
    assert first[1] > 1000


def test_the_first_episode_is_that_of_copies(brain: LocalBrain) -> None:
    threads = brain.description.threads
    with (
        local_brain("tiny", threads=threads, record_spikes=True) as copied,
        local_brain("tiny", threads=threads, record_spikes=True, resets="reinitialisation") as fresh,
    ):
        assert episode(fresh, 1) == episode(copied, 1)


def test_it_says_that_there_are_no_branches(brain: LocalBrain) -> None:
    assert brain.description.resets is Resets.REINITIALISATION
    assert brain.description.snapshot_limit == 0
    brain.reset(1)
    with pytest.raises(ConfigurationError, match="keeps no snapshots"):
        brain.snapshot()


def test_devices_that_could_not_be_removed_are_refused(brain: LocalBrain) -> None:
    rhythm = GlobalSource(name="theta", frequency_hz=8.0, amplitude=1.0, provenance="assumed: test")
    with pytest.raises(ConfigurationError, match="no devices beside"):
        brain.configure(to_text(Devices(rhythms=(rhythm,))))


def test_an_unknown_way_to_reset_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="copy, reinitialisation"):
        kernel_config("tiny", resets="magic")


@pytest.mark.parametrize("name", ["threads", "ranks"])
@pytest.mark.parametrize("value", ["2", 1.5, True, -1, 10**9, float("nan")])
def test_a_number_of_threads_or_ranks_that_is_none_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is .*use 1 or more"):
        kernel_config("tiny", **{name: value})


def test_counts_of_numpy_are_counts() -> None:
    assert kernel_config("tiny", threads=np.int64(2)) == kernel_config("tiny", threads=2)
