"""The settled brain with its devices: made once, held in a process of its own, replaced when it is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bridge_processes import group_of, settled_group, wait_until_gone
from test_kernel_devices import ACTORS, LISTENERS, M1

from robobrain.brain.config import local_brain
from robobrain.brain.devices import Devices, joined, to_text
from robobrain.brain.kernel import kernel_command
from robobrain.brain.monitors import CountDecoder, DirectOutputMonitor
from robobrain.brain.sources import SpikesEncoder
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


def test_wired_devices_that_do_not_fit_are_refused_before_the_brain_settles(tmp_path: Path) -> None:
    wiring = tmp_path / "wiring.yaml"
    wiring.write_text(
        "inputs: []\noutputs: []\nsilenced: [{name: lesion, targets: [{population: nowhere}]}]\n",
        encoding="utf-8",
    )
    phases: list[str] = []
    with pytest.raises(ConfigurationError, match="nowhere"):
        local_brain("tiny", threads=1, interfaces=wiring, on_progress=lambda phase, _: phases.append(phase))
    assert "instrument" in phases
    assert "settle" not in phases


def test_more_spikes_than_time_steps_are_refused_and_the_instants_stay(brain: LocalBrain) -> None:
    expected = brain.reset(1)
    instant = brain.snapshot()
    many = replace(ACTORS.inputs[0], high=21.0, encoder=SpikesEncoder(gain_per_unit=1.0, max_spikes=21))
    with pytest.raises(ConfigurationError, match="only 20 time steps"):
        brain.configure(to_text(Devices(inputs=(many,))))
    assert readings_digest(brain.restore(instant)) == readings_digest(expected)


def test_a_configuration_of_a_megabyte_reaches_the_kernel_while_an_episode_runs(brain: LocalBrain) -> None:
    brain.reset(1)
    monitors = tuple(
        DirectOutputMonitor(
            name=f"monitor_{number}",
            unit="1",
            low=0.0,
            high=9.0,
            channels={f"{number}_{k}": M1 for k in range(20)},
            decoder=CountDecoder(),
            provenance="assumed: " + "test " * 300,
        )
        for number in range(600)
    )
    text = to_text(Devices(outputs=monitors))
    assert len(text) > 10**6
    assert len(brain.configure(text).outputs) > 600
    brain.reset(1)


@contextmanager
def making_devices() -> Iterator[tuple[int, int, Future[object]]]:
    """Yield the kernel, the process that makes devices for ever in it, and the reset that waits for them."""
    command = kernel_command({"threads": 1}, model="kernel_models:Equippable")
    environment = {"PYTHONPATH": str(Path(__file__).parent)}
    with LocalBrain(command, environment=environment) as brain, ThreadPoolExecutor(1) as pool:
        brain.configure("hang")
        reset = pool.submit(brain.reset, 1)
        (maker,) = settled_group(brain.kernel_pid, 2) - {brain.kernel_pid}
        yield brain.kernel_pid, maker, reset


def test_how_the_maker_of_devices_was_lost_is_said() -> None:
    with making_devices() as (_, maker, reset):
        os.kill(maker, signal.SIGKILL)
        with pytest.raises(BrainFault, match=r"makes the devices was lost \(signal 9\)"):
            reset.result()


def test_the_maker_of_devices_ends_with_the_kernel() -> None:
    with making_devices() as (kernel, maker, reset):
        os.kill(kernel, signal.SIGKILL)
        with pytest.raises(BrainFault):
            reset.result()
        assert not wait_until_gone({maker})
