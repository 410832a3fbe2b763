from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bridge_kernels import DESCRIPTION
from bridge_processes import group_of, is_alive, wait_until_gone

from robobrain.bridge import BrainLink, LocalBrain
from robobrain.errors import BrainFault, ConfigurationError, ProtocolError

KERNEL = str(Path(__file__).parent / "bridge_kernels.py")


def command(mode: str = "plain") -> list[str]:
    return [sys.executable, KERNEL, mode]


@pytest.fixture
def brain() -> Iterator[LocalBrain]:
    with LocalBrain(command()) as one:
        yield one
    assert not group_of(one.kernel_pid)


def test_a_brain_describes_itself_and_steps(brain: LocalBrain) -> None:
    link: BrainLink = brain
    assert link.description == DESCRIPTION
    rest = link.reset(seed=np.int64(4))
    assert (rest.seq, rest.t_ms, rest.outputs.tolist()) == (0, 0.0, [0.0, 4.0])
    for seq in (1, 2):
        readings = link.step([1, 2, 3])
        assert (readings.seq, readings.t_ms) == (seq, 10.0 * seq)
        assert readings.outputs.tolist() == [6.0, 4.0 + 6.0 * seq]
        assert readings.times.wire_ms > 0.0
    assert readings.spikes is not None
    assert readings.spikes.sender.tolist() == [2, 1]


def test_readings_belong_to_the_caller(brain: LocalBrain) -> None:
    brain.reset(0)
    first = brain.step([1, 0, 0])
    kept = first.outputs.copy()
    brain.step([5, 0, 0])
    assert np.array_equal(first.outputs, kept)
    first.outputs[:] = -1.0


def test_a_step_before_a_reset_is_refused_in_words(brain: LocalBrain) -> None:
    with pytest.raises(ConfigurationError, match=r"reset\(seed\)"):
        brain.step([1, 2, 3])


@pytest.mark.parametrize(
    "inputs", [[1.0, np.nan, 2.0], [np.inf, 1.0, 2.0], [1.0, 2.0], np.zeros((3, 1)), "abc"]
)
def test_unusable_inputs_are_refused_and_nothing_is_sent(brain: LocalBrain, inputs: object) -> None:
    brain.reset(0)
    with pytest.raises(ConfigurationError, match="input"):
        brain.step(inputs)  # type: ignore[arg-type]
    assert brain.step([1, 0, 0]).seq == 1


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "1", None])
def test_unusable_seeds_are_refused(brain: LocalBrain, seed: object) -> None:
    brain.reset(1)
    with pytest.raises(ConfigurationError, match="seed"):
        brain.reset(seed)  # type: ignore[arg-type]
    assert brain.step([1, 0, 0]).outputs.tolist() == [1.0, 2.0]
    assert brain.reset(2**64 - 1).seq == 0


def test_close_ends_the_process_and_may_be_repeated() -> None:
    brain = LocalBrain(command())
    brain.reset(0)
    for _ in range(2):
        brain.close()
        assert not is_alive(brain.kernel_pid)
    for call in (lambda: brain.reset(0), lambda: brain.step([1, 2, 3])):
        with pytest.raises(BrainFault, match="closed; start a new brain"):
            call()


def test_an_error_in_the_block_closes_the_brain() -> None:
    with pytest.raises(ZeroDivisionError), LocalBrain(command()) as brain:
        raise ZeroDivisionError
    assert not is_alive(brain.kernel_pid)


def test_a_forgotten_brain_ends() -> None:
    brain = LocalBrain(command())
    pid = brain.kernel_pid
    del brain
    gc.collect()
    assert not is_alive(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_killed_kernel_is_a_fault_at_once_and_for_good(number: signal.Signals) -> None:
    with LocalBrain(command()) as brain:
        brain.reset(0)
        os.kill(brain.kernel_pid, number)
        with pytest.raises(BrainFault, match=rf"signal {number.value}\); start a new brain"):
            brain.step([1, 2, 3])
        assert not group_of(brain.kernel_pid)
        for call in (lambda: brain.reset(0), lambda: brain.step([1, 2, 3])):
            with pytest.raises(BrainFault, match=rf"signal {number.value}.*start a new brain"):
                call()


def test_a_kernel_that_ends_in_a_step_is_a_fault() -> None:
    with LocalBrain(command()) as brain:
        brain.reset(0)
        with pytest.raises(BrainFault, match="exit code 3"):
            brain.step([999, 0, 0])


def test_a_stopped_kernel_is_found_out_long_before_the_time_out() -> None:
    with LocalBrain(command(), step_timeout_s=600.0) as brain:
        brain.reset(0)
        os.kill(brain.kernel_pid, signal.SIGSTOP)
        with pytest.raises(BrainFault, match="stopped"):
            brain.step([1, 2, 3])
        assert not group_of(brain.kernel_pid)


def test_a_kernel_that_does_not_answer_times_out_and_ends() -> None:
    with pytest.raises(BrainFault, match=r"within 0\.3 s"):
        LocalBrain(command("deaf"), start_timeout_s=0.3)


def test_a_kernel_that_hangs_in_a_step_times_out() -> None:
    with LocalBrain(command(), step_timeout_s=0.2) as brain:
        brain.reset(0)
        os.kill(brain.kernel_pid, signal.SIGSTOP)
        with pytest.raises(BrainFault, match=r"within 0\.2 s"):
            brain.step([1, 2, 3])


def test_a_fault_shows_the_end_of_the_kernels_log() -> None:
    with pytest.raises(BrainFault, match="no memory left on this machine"):
        LocalBrain(command("dies"))


def test_a_command_that_does_not_exist_is_a_fault() -> None:
    with pytest.raises(BrainFault, match="no-such-program"):
        LocalBrain(["/no-such-program"])


def test_another_version_is_refused_and_both_are_named() -> None:
    with pytest.raises(ProtocolError, match=r"2\.3.*1\.0"):
        LocalBrain(command("future"))


def test_garbage_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="3 bytes are no Reply"):
        LocalBrain(command("garbage"))


def test_outputs_of_another_size_than_announced_are_a_protocol_error() -> None:
    with LocalBrain(command("wrong-size")) as brain:
        with pytest.raises(ProtocolError, match="2 outputs, it announced 0"):
            brain.reset(0)
        assert not group_of(brain.kernel_pid)


def test_a_failed_model_needs_a_reset_and_no_new_brain(brain: LocalBrain) -> None:
    brain.reset(0)
    with pytest.raises(BrainFault, match=r"the model broke; reset\(seed\) begins"):
        brain.step([666, 0, 0])
    with pytest.raises(ConfigurationError, match="reset"):
        brain.step([1, 0, 0])
    brain.reset(1)
    assert brain.step([1, 0, 0]).outputs.tolist() == [1.0, 2.0]


def test_a_seed_that_the_model_refuses_leaves_no_episode(brain: LocalBrain) -> None:
    brain.reset(0)
    with pytest.raises(ConfigurationError, match="13 is no seed of mine"):
        brain.reset(13)
    with pytest.raises(ConfigurationError, match="reset"):
        brain.step([1, 0, 0])
    assert brain.reset(1).seq == 0


def test_progress_is_reported_before_the_brain_is_ready() -> None:
    heard: list[tuple[str, float]] = []
    with LocalBrain(command("progress"), on_progress=lambda *report: heard.append(report)):
        assert heard == [("wiring", 0.0), ("wiring", 0.5), ("wiring", 1.0)]


def test_an_interrupted_step_needs_a_reset(brain: LocalBrain, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> bytes:
        raise KeyboardInterrupt

    brain.reset(0)
    with monkeypatch.context() as patch:
        patch.setattr(brain._pipe, "receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            brain.step([1, 0, 0])
    with pytest.raises(ConfigurationError, match="reset"):
        brain.step([1, 0, 0])
    assert brain.reset(7).outputs.tolist() == [0.0, 7.0]
    assert brain.step([1, 0, 0]).outputs.tolist() == [1.0, 8.0]


def test_control_c_does_not_reach_the_kernel(brain: LocalBrain) -> None:
    assert os.getpgid(brain.kernel_pid) != os.getpgid(0)
    os.kill(brain.kernel_pid, signal.SIGINT)
    brain.reset(0)
    assert brain.step([1, 0, 0]).seq == 1


def test_a_brain_survives_the_thread_that_made_it() -> None:
    made: list[LocalBrain] = []
    thread = threading.Thread(target=lambda: made.append(LocalBrain(command())))
    thread.start()
    thread.join()
    with made[0] as brain:
        assert brain.reset(0).seq == 0


def test_a_forked_copy_of_the_user_does_not_close_the_brain(brain: LocalBrain) -> None:
    brain.reset(0)
    child = os.fork()
    if child == 0:
        brain.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert brain.step([1, 0, 0]).seq == 1


@pytest.mark.parametrize(
    ("ending", "code"),
    [("", 0), ("raise ValueError", 1), ("os.kill(os.getpid(), 9)", -9), ("os._exit(3)", 3)],
)
def test_no_process_outlives_its_user(ending: str, code: int) -> None:
    program = f"""
        import os, sys
        from robobrain.bridge import LocalBrain
        brain = LocalBrain({command()!r})
        brain.reset(0)
        print(brain.kernel_pid, flush=True)
        {ending}
    """
    user = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False
    )
    assert user.returncode == code, user.stderr
    (pid,) = re.findall(r"\d+", user.stdout)
    assert not wait_until_gone({int(pid)})
