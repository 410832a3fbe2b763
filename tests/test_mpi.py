"""The brain on MPI ranks; needs NEST with MPI: ``make mpi``, then ``make test-mpi``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from bridge_processes import wait_until_gone
from mpi_tools import Course, course, equal, why_not
from rank_models import COMPUTES, HANGS
from server_tools import Front, step_on

from robobrain.brain.config import kernel_config, local_brain, mpi_launcher
from robobrain.brain.kernel import kernel_command
from robobrain.bridge import LocalBrain
from robobrain.bridge.administration import ServerLink
from robobrain.bridge.messages import Resets
from robobrain.bridge.remote import RemoteBrain
from robobrain.errors import BrainFault, ConfigurationError

KILLS = int(os.environ.get("ROBOBRAIN_KILLS", "1"))
WHY_NOT = why_not()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "runs")]


@pytest.fixture(scope="module", autouse=True)
def root_may_launch() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMPI_ALLOW_RUN_AS_ROOT", "1")
        patch.setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        yield


def session(pid: int) -> set[int]:
    """Return the processes of the session that ``pid`` leads."""
    members = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == pid and fields[0] != "Z":
                members.add(int(entry.name))
    return members


def ranks_of(brain: LocalBrain) -> list[int]:
    """Return the processes of the ranks of a brain, without their launcher."""
    return sorted(session(brain.kernel_pid) - {brain.kernel_pid})


def run_for(brain: LocalBrain, steps: int) -> None:
    for _ in range(steps):
        brain.step(np.zeros(brain.description.input_size))


@pytest.fixture(scope="module")
def on_ranks() -> Iterator[tuple[LocalBrain, Course]]:
    """A brain on two ranks, and its first episode."""
    with local_brain("tiny", ranks=2, threads=1, record_spikes=True) as brain:
        yield brain, course(brain, 1)
        members = session(brain.kernel_pid)
    assert not wait_until_gone(members)


def test_two_ranks_and_two_threads_give_the_same_first_session(
    on_ranks: tuple[LocalBrain, Course],
) -> None:
    with local_brain("tiny", threads=2, record_spikes=True) as threads:
        assert equal(course(threads, 1), on_ranks[1])
    assert len(on_ranks[1][1]) > 1000


def test_rates_agree_between_one_and_two_virtual_processes(on_ranks: tuple[LocalBrain, Course]) -> None:
    with local_brain("tiny", threads=1, record_spikes=True) as alone:
        one, two = (len(course(brain, 2, steps=300)[1]) for brain in (alone, on_ranks[0]))
    assert one != two  # another course
    assert abs(one - two) < 0.1 * one


def test_an_episode_repeats_whatever_was_run_before_it(on_ranks: tuple[LocalBrain, Course]) -> None:
    brain, _ = on_ranks
    course(brain, 5, steps=2, inputs=2)
    before = course(brain, 7)
    course(brain, 8, steps=5, inputs=3)
    assert equal(course(brain, 7), before)
    assert not equal(course(brain, 9), before)


def test_ranks_say_what_they_are_and_keep_no_instants(on_ranks: tuple[LocalBrain, Course]) -> None:
    brain, _ = on_ranks
    said = brain.description
    assert (said.ranks, said.threads, said.snapshot_limit) == (2, 1, 0)
    assert said.resets is Resets.REINITIALISATION
    brain.reset(1)
    with pytest.raises(ConfigurationError, match="keeps no snapshots"):
        brain.snapshot()
    brain.step(np.zeros(said.input_size))


@pytest.mark.parametrize(
    ("rank", "sent", "outcome"),
    [
        (0, signal.SIGKILL, "process ended"),
        (1, signal.SIGKILL, "process ended"),
        (1, signal.SIGSTOP, "stopped by a signal"),
    ],
)
def test_losing_a_rank_is_a_fault_and_leaves_no_process(rank: int, sent: int, outcome: str) -> None:
    with local_brain("0.002", ranks=2, threads=1) as brain:
        brain.reset(1)
        members = session(brain.kernel_pid)
        os.kill(ranks_of(brain)[rank], sent)
        with pytest.raises(BrainFault, match=outcome):
            run_for(brain, 10_000)
        assert not wait_until_gone(members)


def test_the_ranks_end_with_the_process_that_started_them() -> None:
    script = (
        "import sys, time; from robobrain.brain.config import local_brain;"
        "brain = local_brain('0.002', ranks=2, threads=1);"
        "print(brain.kernel_pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        members = session(int(user.stdout.readline()))
        assert len(members) >= 3
        user.kill()
    assert not wait_until_gone(members)


def test_a_launcher_that_fails_is_named() -> None:
    with pytest.raises(BrainFault, match=r"no-such-launcher can't be started"):
        local_brain("0.002", launcher="no-such-launcher -n 2")
    with pytest.raises(BrainFault, match="started 2 ranks, 3 were asked for"):
        local_brain("0.002", ranks=3, launcher="mpirun --oversubscribe -n 2")


def test_a_server_on_two_ranks_serves_a_session(on_ranks: tuple[LocalBrain, Course]) -> None:
    config = kernel_config("tiny", threads=1, ranks=2, record_spikes=True)
    command = kernel_command(asdict(config), launcher=mpi_launcher(2, None))
    with Front(command=command, stall_s=20.0) as front, RemoteBrain(front.address) as brain:
        assert brain.description.ranks == 2
        assert equal(course(brain, 1), on_ranks[1])


@pytest.fixture
def adding_ranks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """A server of two ranks that count as hung after two seconds."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    command = kernel_command(
        {"ranks": 2, "threads": 1}, model="rank_models:Adding", launcher=mpi_launcher(2, None)
    )
    with Front(command=command, stall_s=2.0) as front:
        yield front


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_hangs_is_found_while_the_other_waits_for_it_and_all_are_replaced(
    adding_ranks: Front, rank: int
) -> None:
    with ServerLink(adding_ranks.address) as link, RemoteBrain(adding_ranks.address) as brain:
        brain.reset(0)
        members = session(link.status().seats[0].pid)
        assert len(members) == 3  # the launcher and its ranks
        with pytest.raises(BrainFault, match=r"\(rank \d+\) made no progress for 2 s"):
            brain.step([HANGS, rank, 0])
        assert not wait_until_gone(members)
        brain.reset(0)
        assert brain.step([1, -1, 0]).outputs.tolist() == [0.0, 0.0]
        assert link.status().seats[0].faults == 1


def test_a_stopped_rank_of_a_server_is_found_and_all_are_replaced(adding_ranks: Front) -> None:
    with ServerLink(adding_ranks.address) as link, RemoteBrain(adding_ranks.address) as brain:
        brain.reset(0)
        launcher = link.status().seats[0].pid
        members = session(launcher)
        os.kill(max(members - {launcher}), signal.SIGSTOP)
        with pytest.raises(BrainFault, match="stopped by a signal"):
            brain.step([1, -1, 0])
        assert not wait_until_gone(members)
        brain.reset(0)
        assert brain.step([1, -1, 0]).outputs.tolist() == [0.0, 0.0]


@pytest.mark.timeout(60 + 30 * KILLS)
def test_launchers_and_ranks_killed_at_random_moments_are_replaced(adding_ranks: Front) -> None:
    """The count is small for the suite; ROBOBRAIN_KILLS=50 is the acceptance run."""
    rng = np.random.default_rng(5)
    with ServerLink(adding_ranks.address) as link, RemoteBrain(adding_ranks.address) as brain:
        for number in range(3 * KILLS):
            brain.reset(100 + number)
            launcher = link.status().seats[0].pid
            members = [launcher, *sorted(session(launcher) - {launcher})]
            killer = threading.Timer(
                float(rng.uniform(0.0, 0.05)), os.kill, (members[number % 3], signal.SIGKILL)
            )
            killer.start()
            with pytest.raises(BrainFault, match=r"process ended.*reset\(seed\) begins a new episode"):
                step_on(brain)
            killer.join()
            assert not wait_until_gone(set(members))
        assert link.status().seats[0].faults == 3 * KILLS


@pytest.mark.parametrize("rank", [0, 1])
def test_ranks_that_compute_for_long_are_left_alone(adding_ranks: Front, rank: int) -> None:
    with ServerLink(adding_ranks.address) as link, RemoteBrain(adding_ranks.address) as brain:
        brain.reset(0)
        assert brain.step([COMPUTES, rank, 0]).outputs[0] == 2 * (COMPUTES + rank)
        assert link.status().seats[0].faults == 0
