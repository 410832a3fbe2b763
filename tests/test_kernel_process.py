from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bridge_processes import group_of, settled_group, wait_until_gone

from robobrain.brain.kernel import kernel_command
from robobrain.bridge import LocalBrain, Readings
from robobrain.errors import BrainFault, ConfigurationError

ENVIRONMENT = {"PYTHONPATH": str(Path(__file__).parent)}
DRIVE = ([0.0, 0.0, 0.0, 0.0], [2000.0, 0.0, 500.0, 0.0], [0.0, 3000.0, 0.0, 100.0])


def start(threads: int = 1, model: str = "BalancedNetwork", step_timeout_s: float = 60.0) -> LocalBrain:
    command = kernel_command({"threads": threads}, model=f"kernel_models:{model}")
    return LocalBrain(command, environment=ENVIRONMENT, step_timeout_s=step_timeout_s)


@pytest.fixture(scope="module", params=[1, 2], ids=["1 thread", "2 threads"])
def brain(request: pytest.FixtureRequest) -> Iterator[LocalBrain]:
    with start(request.param) as one:
        yield one
    assert not group_of(one.kernel_pid)


def digest(readings: list[Readings]) -> bytes:
    parts = [one.outputs.tobytes() for one in readings]
    for one in readings[1:]:
        assert one.spikes is not None
        parts += [one.spikes.t_ms.tobytes(), one.spikes.sender.tobytes()]
    return b"".join(parts)


def episode(brain: LocalBrain, seed: int, steps: int = 12) -> bytes:
    return digest([brain.reset(seed)] + [brain.step(DRIVE[step % len(DRIVE)]) for step in range(steps)])


def run_for(brain: LocalBrain, steps: int) -> None:
    for _ in range(steps):
        brain.step([0.0] * 4)


def episode_process(brain: LocalBrain) -> int:
    (child,) = settled_group(brain.kernel_pid, 2) - {brain.kernel_pid}
    return child


def test_the_network_spikes_and_answers_to_its_inputs(brain: LocalBrain) -> None:
    def spikes_of_first_channel(rate_hz: float) -> int:
        brain.reset(3)
        readings = [brain.step([rate_hz, 0.0, 0.0, 0.0]) for _ in range(10)]
        return sum(int((one.spikes.sender <= 40).sum()) for one in readings if one.spikes)

    assert spikes_of_first_channel(0.0) > 50
    assert spikes_of_first_channel(5000.0) > 1.2 * spikes_of_first_channel(0.0)


def test_spike_times_lie_in_their_exchange_and_agree_with_the_counters(brain: LocalBrain) -> None:
    before = brain.reset(1).outputs
    for _ in range(5):
        readings = brain.step([0.0] * 4)
        assert readings.spikes is not None
        assert readings.spikes.t_ms.min() > readings.t_ms - 10.0
        assert readings.spikes.t_ms.max() <= readings.t_ms
        assert (np.diff(readings.spikes.t_ms) >= 0.0).all()
    assert (readings.outputs > before).all()
    assert readings.times.run_ms > 0.0


def test_equal_seeds_give_equal_spikes_whatever_ran_in_between(brain: LocalBrain) -> None:
    first = episode(brain, seed=11)
    assert episode(brain, seed=12) != first
    assert episode(brain, seed=11) == first
    brain.reset(99)
    for _ in range(30):
        brain.step([5000.0] * 4)
    assert episode(brain, seed=11) == first
    brain.reset(11)
    brain.step(DRIVE[0])
    assert episode(brain, seed=11) == first


def test_equal_seeds_give_equal_spikes_in_another_process(brain: LocalBrain) -> None:
    with start(brain.description.threads) as other:
        assert episode(other, seed=5) == episode(brain, seed=5)


def test_a_lost_episode_is_told_and_the_next_reset_works(brain: LocalBrain) -> None:
    expected = episode(brain, seed=21)
    for in_between in (0, 3):
        brain.reset(1)
        run_for(brain, steps=in_between)
        os.kill(episode_process(brain), signal.SIGKILL)
        with pytest.raises(BrainFault, match=r"episode process was lost \(signal 9\); reset\(seed\)"):
            brain.step([0.0] * 4)
        with pytest.raises(ConfigurationError, match="reset"):
            brain.step([0.0] * 4)
        assert episode(brain, seed=21) == expected


def test_an_episode_lost_unnoticed_does_not_disturb_the_next(brain: LocalBrain) -> None:
    expected = episode(brain, seed=22)
    brain.reset(1)
    child = episode_process(brain)
    os.kill(child, signal.SIGKILL)
    assert not wait_until_gone({child})
    assert episode(brain, seed=22) == expected


def test_only_one_episode_process_exists(brain: LocalBrain) -> None:
    for seed in range(5):
        brain.reset(seed)
    settled_group(brain.kernel_pid, 2)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_killed_holder_takes_the_episode_with_it(threads: int) -> None:
    with start(threads) as brain:
        brain.reset(1)
        child = episode_process(brain)
        os.kill(brain.kernel_pid, signal.SIGKILL)
        with pytest.raises(BrainFault, match=r"signal 9\); start a new brain"):
            run_for(brain, steps=100)
        assert not wait_until_gone({child, brain.kernel_pid})


@pytest.mark.parametrize("whole_group", [False, True])
def test_a_stopped_episode_is_a_fault_and_leaves_nothing(whole_group: bool) -> None:
    with start() as brain:
        brain.reset(1)
        pids = group_of(brain.kernel_pid)
        for pid in pids if whole_group else {episode_process(brain)}:
            os.kill(pid, signal.SIGSTOP)
        with pytest.raises(BrainFault, match="stopped"):
            brain.step([0.0] * 4)
        assert not wait_until_gone(pids)


def test_a_hanging_step_times_out_and_leaves_nothing() -> None:
    with start(model="Fragile", step_timeout_s=1.0) as brain:
        brain.reset(1)
        pids = group_of(brain.kernel_pid)
        with pytest.raises(BrainFault, match="did not answer within 1 s"):
            brain.step([999.0, 0.0, 0.0, 0.0])
        assert not wait_until_gone(pids)


def test_an_error_in_the_model_loses_the_episode_only() -> None:
    with start(2, model="Fragile") as brain:
        expected = episode(brain, 1)
        brain.reset(1)
        with pytest.raises(BrainFault, match="RuntimeError: the membrane broke"):
            brain.step([666.0, 0.0, 0.0, 0.0])
        assert episode(brain, 1) == expected


def test_control_c_does_not_reach_holder_or_episode() -> None:
    with start(2) as brain:
        expected = episode(brain, 1)
        brain.reset(1)
        for pid in group_of(brain.kernel_pid):
            os.kill(pid, signal.SIGINT)
        assert episode(brain, 1) == expected


def test_close_ends_holder_and_episode() -> None:
    brain = start(2)
    brain.reset(1)
    pids = group_of(brain.kernel_pid)
    assert len(pids) == 2
    brain.close()
    assert not wait_until_gone(pids, limit_s=0.0)


def test_nothing_outlives_a_killed_user() -> None:
    command = kernel_command({"threads": 2}, model="kernel_models:Fragile")
    program = f"""
        import os, signal
        from robobrain.bridge import LocalBrain
        brain = LocalBrain({command!r})
        brain.reset(0)
        print(brain.kernel_pid, flush=True)
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), 9))
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        brain.step([999.0, 0.0, 0.0, 0.0])
    """
    user = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert user.returncode == -signal.SIGKILL, user.stderr
    (pid,) = re.findall(r"\d+", user.stdout)
    assert not wait_until_gone(group_of(int(pid)))


def test_a_network_that_can_not_be_built_says_why() -> None:
    with pytest.raises(BrainFault, match="ValueError: the tables are upside down"):
        start(model="Refusing")


@pytest.mark.parametrize("model", ["kernel_models:Missing", "no_such_module:Model", "nonsense"])
def test_a_model_that_does_not_exist_is_named(model: str) -> None:
    with pytest.raises(ConfigurationError, match=f"no brain model '{model}'.*module:Class"):
        LocalBrain(kernel_command({}, model=model), environment=ENVIRONMENT)


def test_another_number_of_threads_than_openmp_was_started_for_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="2 threads, the process was started for 1"):
        start(1, model="Overthreaded")


def libgomp_of_nest() -> str:
    """Return the path of NEST's OpenMP library, found in another process as this one stays free of NEST."""
    program = "import nest; from robobrain.brain.holder import openmp_path; print(openmp_path())"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return result.stdout.splitlines()[-1]


@pytest.mark.parametrize("loaded_early", [False, True])
def test_openmp_is_set_up_whatever_the_users_environment_says(loaded_early: bool) -> None:
    command = kernel_command({"threads": 2}, model="kernel_models:BalancedNetwork")
    environment = {**ENVIRONMENT, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "active"}
    if loaded_early:
        environment["LD_PRELOAD"] = libgomp_of_nest()
    with start(2) as plain, LocalBrain(command, environment=environment) as other:
        assert episode(other, seed=5) == episode(plain, seed=5)
        settings = Path(f"/proc/{other.kernel_pid}/environ").read_bytes().split(b"\0")
        assert (
            b"OMP_WAIT_POLICY=passive" in settings
        ) == loaded_early  # the kernel's start shows a fresh start
