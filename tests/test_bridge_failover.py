from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from bridge_processes import group_of

from robobrain.bridge.branching import BranchingLink
from robobrain.bridge.failover import FailoverBrain
from robobrain.bridge.link import LocalBrain
from robobrain.errors import BrainFault, ConfigurationError

KERNEL = str(Path(__file__).parent / "bridge_kernels.py")
INPUTS = np.arange(30, dtype=np.float32).reshape(10, 3)


def start(report: Callable[[str, float], None], mode: str = "progress") -> LocalBrain:
    return LocalBrain([sys.executable, KERNEL, mode], on_progress=report)


@pytest.fixture
def brain() -> Iterator[FailoverBrain]:
    with FailoverBrain(start, spares=1) as one:
        yield one
    assert not group_of(one.kernel_pid)


def outputs(brain: FailoverBrain, kill_before: tuple[int, ...] = ()) -> list[list[float]]:
    rows = [brain.reset(4).outputs.tolist()]
    for number, inputs in enumerate(INPUTS):
        if number in kill_before:
            os.killpg(brain.kernel_pid, signal.SIGKILL)
        rows.append(brain.step(inputs).outputs.tolist())
        if number == 4:
            brain.collect()
    return rows


def test_a_lost_brain_is_replaced_and_nothing_differs(brain: FailoverBrain) -> None:
    expected = outputs(brain)
    killed = brain.kernel_pid
    assert outputs(brain, kill_before=(0, 3, 9)) == expected
    assert brain.takeovers == 3
    assert brain.kernel_pid != killed
    assert not group_of(killed)


@pytest.mark.parametrize("moment", ["before", "within"])
def test_a_brain_lost_while_its_user_does_something_else_is_replaced(
    brain: FailoverBrain, moment: str
) -> None:
    expected = [brain.reset(4).outputs.tolist(), *(brain.step(row).outputs.tolist() for row in INPUTS)]
    rows = [brain.reset(4).outputs.tolist()]
    brain.begin_step(INPUTS[0])
    for number, inputs in enumerate(INPUTS[1:]):
        if number == 6 and moment == "before":
            os.killpg(brain.kernel_pid, signal.SIGKILL)
        brain.begin_step(inputs)
        if number == 6 and moment == "within":
            os.killpg(brain.kernel_pid, signal.SIGKILL)
        rows.append(brain.finish_step().outputs.tolist())
    rows.append(brain.finish_step().outputs.tolist())
    assert rows == expected
    assert brain.takeovers == 1
    with pytest.raises(ConfigurationError, match="no step is under way"):
        brain.finish_step()


def test_a_brain_lost_between_episodes_is_replaced(brain: FailoverBrain) -> None:
    expected = outputs(brain)
    os.killpg(brain.kernel_pid, signal.SIGKILL)
    assert outputs(brain) == expected


def test_a_fault_that_repeats_itself_is_raised(brain: FailoverBrain) -> None:
    brain.reset(1)
    with pytest.raises(BrainFault, match="the model broke"):
        brain.step([666.0, 0.0, 0.0])


def test_what_is_refused_costs_no_spare(brain: FailoverBrain) -> None:
    with pytest.raises(ConfigurationError, match="13 is no seed of mine"):
        brain.reset(13)
    brain.reset(1)
    with pytest.raises(ConfigurationError, match="shape"):
        brain.step([1.0])
    brain.step(INPUTS[0])
    assert brain.takeovers == 0


def test_without_a_spare_the_loss_is_told() -> None:
    with FailoverBrain(start, spares=0) as brain:
        brain.reset(1)
        os.killpg(brain.kernel_pid, signal.SIGKILL)
        with pytest.raises(BrainFault, match="no spare is left"):
            brain.step(INPUTS[0])


def test_a_spare_that_comes_to_other_readings_is_refused() -> None:
    modes = iter(["plain", "offset", "plain"])
    with FailoverBrain(lambda report: start(report, next(modes)), spares=1) as brain:
        brain.reset(1)
        brain.step(INPUTS[1])
        os.killpg(brain.kernel_pid, signal.SIGKILL)
        with pytest.raises(BrainFault, match="differs from call 1 of the episode on"):
            brain.step(INPUTS[2])


def test_replay_and_wait_are_reported() -> None:
    told: list[str] = []
    with FailoverBrain(start, spares=1, on_progress=lambda phase, _: told.append(phase)) as brain:
        brain.reset(1)
        for _ in range(120):
            brain.step(INPUTS[1])
        os.killpg(brain.kernel_pid, signal.SIGKILL)
        brain.step(INPUTS[1])
    assert told == ["wiring"] * 3 + ["failover: wait for the spare", "failover: replay"]


def test_closing_ends_spares_that_are_still_built() -> None:
    brain = FailoverBrain(start, spares=3)
    time.sleep(0.05)
    brain.close()
    brain.close()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                assert KERNEL not in (entry / "cmdline").read_text() or _parent(entry) != os.getpid()
            except (FileNotFoundError, ProcessLookupError):
                continue


def _parent(entry: Path) -> int:
    return int((entry / "stat").read_text().rpartition(")")[2].split()[1])


def test_a_brain_with_spares_does_not_pretend_to_keep_instants(brain: FailoverBrain) -> None:
    assert not isinstance(brain, BranchingLink)


def test_a_negative_number_of_spares_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="spares is -1"):
        FailoverBrain(start, spares=-1)
