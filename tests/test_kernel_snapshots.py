from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import numpy as np
import pytest
from bridge_processes import group_of, settled_group, wait_until_gone
from test_kernel_process import DRIVE, ENVIRONMENT, digest, episode, start

from robobrain.brain.kernel import kernel_command
from robobrain.bridge import BranchingLink, LocalBrain
from robobrain.errors import BrainFault, ConfigurationError, SnapshotFault


@pytest.fixture(scope="module", params=[1, 2, 4], ids=["1 thread", "2 threads", "4 threads"])
def brain(request: pytest.FixtureRequest) -> Iterator[LocalBrain]:
    with start(request.param) as one:
        yield one
    assert not group_of(one.kernel_pid)


@pytest.fixture
def single() -> Iterator[LocalBrain]:
    with start() as one:
        yield one
    assert not group_of(one.kernel_pid)


def run(brain: LocalBrain, steps: int, scale: float = 1.0) -> bytes:
    return digest([brain.step(np.multiply(DRIVE[step % 3], scale)) for step in range(steps + 1)])


def drop_all(brain: LocalBrain) -> None:
    for info in brain.snapshots():
        brain.drop(info.id)


def processes(brain: LocalBrain) -> set[int]:
    """Return kernel, episode and holders, once those that are ending have ended."""
    return settled_group(brain.kernel_pid, 2 + len(brain.snapshots()))


def holder_of(brain: LocalBrain, snapshot: int) -> int:
    (pid,) = (info.pid for info in brain.snapshots() if info.id == snapshot)
    return pid


def test_twenty_continuations_of_one_instant_are_equal(brain: LocalBrain) -> None:
    assert isinstance(brain, BranchingLink)
    brain.reset(3)
    run(brain, 4)
    instant = brain.snapshot()
    expected = run(brain, 8)
    for _ in range(20):
        readings = brain.restore(instant)
        assert (readings.seq, readings.t_ms) == (5, 50.0)
        assert run(brain, 8) == expected
    brain.restore(instant)
    assert run(brain, 8, scale=1.5) != expected
    drop_all(brain)


def test_a_snapshot_does_not_change_the_episode(brain: LocalBrain) -> None:
    brain.reset(8)
    expected = [run(brain, 3), run(brain, 3)]
    brain.reset(8)
    first = run(brain, 3)
    brain.snapshot()
    assert [first, run(brain, 3)] == expected
    drop_all(brain)


def test_instants_of_instants_continue_exactly_whatever_ran_in_between(brain: LocalBrain) -> None:
    brain.reset(1)
    instants, courses = [], []
    for _ in range(4):
        run(brain, 2)
        instants.append(brain.snapshot())
        courses.append(run(brain, 3))
    for one in (3, 0, 2, 1, 3):
        brain.restore(instants[one])
        assert run(brain, 3) == courses[one]
        if one:
            brain.reset(5)
            run(brain, 2)
    assert [info.parent for info in brain.snapshots()] == [0, *instants[:-1]]
    drop_all(brain)


def test_a_seed_draws_other_random_numbers_from_the_same_instant(brain: LocalBrain) -> None:
    brain.reset(1)
    run(brain, 3)
    instant = brain.snapshot()
    exact = run(brain, 5)

    def continued(seed: int | None) -> bytes:
        brain.restore(instant, seed)
        return run(brain, 5)

    assert continued(7) == continued(7) != continued(8) != exact == continued(None)
    drop_all(brain)


def test_a_lesion_silences_one_continuation_only(brain: LocalBrain) -> None:
    brain.reset(1)
    run(brain, 3)
    instant = brain.snapshot()
    intact = run(brain, 5)
    for silence, silent in ((("in",), slice(1, 2)), (("test",), slice(0, 2))):
        brain.restore(instant, silence=silence)
        after = [brain.step(DRIVE[0]).outputs for _ in range(4)]
        assert np.array_equal(after[1][silent], after[3][silent])
    brain.restore(instant)
    assert run(brain, 5) == intact
    with pytest.raises(ConfigurationError, match="no population or region 'M1'; it has test, ex, in"):
        brain.restore(instant, silence=["M1"])
    drop_all(brain)


def test_resets_are_exact_with_instants_around(brain: LocalBrain) -> None:
    expected = episode(brain, 11)
    brain.snapshot()
    assert episode(brain, 11) == expected
    brain.restore(brain.snapshot())
    assert episode(brain, 11) == expected
    drop_all(brain)


def test_instants_are_listed_with_their_memory(single: LocalBrain) -> None:
    assert single.description.snapshot_limit == 16
    assert single.snapshots() == ()
    single.reset(4)
    run(single, 2)
    instant = single.snapshot()
    (info,) = single.snapshots()
    assert (info.id, info.parent, info.seq, info.t_ms, info.seed, info.restores) == (
        instant,
        0,
        3,
        30.0,
        4,
        0,
    )
    assert 0 < info.private_bytes < info.shared_bytes
    single.restore(instant)
    assert single.snapshots()[0].restores == 1
    single.drop(instant)
    assert single.snapshots() == ()
    assert len(processes(single)) == 2
    with pytest.raises(ConfigurationError, match="no snapshot 1; there are: none"):
        single.restore(instant)


def test_beyond_the_limit_the_least_recently_used_goes() -> None:
    command = kernel_command({"threads": 1, "snapshots": 2}, model="kernel_models:BalancedNetwork")
    with LocalBrain(command, environment=ENVIRONMENT) as brain:
        brain.reset(1)
        first, second = brain.snapshot(), brain.snapshot()
        brain.restore(first)
        third = brain.snapshot()
        assert [info.id for info in brain.snapshots()] == [first, third]
        with pytest.raises(ConfigurationError, match="least recently used: 2 are kept"):
            brain.restore(second)
        brain.step(DRIVE[0])


@pytest.mark.parametrize("snapshot", [0, -1, 99, "one", None])
def test_what_is_no_snapshot_is_refused_and_the_episode_goes_on(single: LocalBrain, snapshot: int) -> None:
    expected = episode(single, 2)
    single.reset(2)
    readings = [single.step(DRIVE[step % 3]) for step in range(5)]
    for act in (single.restore, single.drop):
        with pytest.raises(ConfigurationError, match="no snapshot"):
            act(snapshot)
    readings += [single.step(DRIVE[step % 3]) for step in range(5, 12)]
    assert digest([single.reset(2), *readings]) == expected


def test_without_an_episode_there_is_no_instant_to_keep(single: LocalBrain) -> None:
    with pytest.raises(ConfigurationError, match="reset"):
        single.snapshot()


def test_a_killed_holder_is_a_clear_error_and_the_episode_goes_on(brain: LocalBrain) -> None:
    brain.reset(2)
    run(brain, 3)
    kept, lost = brain.snapshot(), brain.snapshot()
    expected = run(brain, 5)
    brain.restore(kept)
    pid = holder_of(brain, lost)
    os.kill(pid, signal.SIGKILL)
    assert not wait_until_gone({pid})
    with pytest.raises(SnapshotFault, match=f"snapshot {lost} is gone: the process that held it was lost"):
        brain.restore(lost)
    assert run(brain, 5) == expected
    assert [info.id for info in brain.snapshots()] == [kept]
    drop_all(brain)


def test_an_episode_outlives_the_holder_it_came_from(brain: LocalBrain) -> None:
    brain.reset(2)
    run(brain, 3)
    instant = brain.snapshot()
    expected = run(brain, 5)
    brain.restore(instant)
    os.kill(holder_of(brain, instant), signal.SIGKILL)
    assert run(brain, 5) == expected
    drop_all(brain)


def test_instants_outlive_the_episode_that_took_them(brain: LocalBrain) -> None:
    brain.reset(2)
    run(brain, 3)
    instant = brain.snapshot()
    expected = run(brain, 5)
    for _ in range(2):
        pids = group_of(brain.kernel_pid) - {brain.kernel_pid, holder_of(brain, instant)}
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(BrainFault, match="episode process was lost"):
            brain.step(DRIVE[0])
        brain.restore(instant)
        assert run(brain, 5) == expected
    drop_all(brain)


def check_that_nothing_can_be_copied(
    brain: LocalBrain, limit: str, why: str, user: list[str] | None = None
) -> None:
    """Take something from all processes of a brain; the running episode and the instants have to stay."""
    brain.reset(2)
    run(brain, 3)
    instant = brain.snapshot()
    expected = run(brain, 5)
    brain.restore(instant)
    before = processes(brain)
    with denied(before, limit, user or []):
        for act in (brain.snapshot, lambda: brain.restore(instant), lambda: brain.reset(1)):
            with pytest.raises(SnapshotFault, match=rf"now: .*{why}|can't be copied: .*{why}"):
                act()
    assert processes(brain) == before
    assert run(brain, 5) == expected
    assert [info.id for info in brain.snapshots()] == [instant]
    brain.restore(instant)
    assert run(brain, 5) == expected
    drop_all(brain)


def test_without_descriptors_a_copy_is_a_clear_error_and_the_episode_goes_on(single: LocalBrain) -> None:
    check_that_nothing_can_be_copied(single, "nofile", "Too many open files")


@pytest.mark.parametrize("threads", [1, 2])
def test_a_fork_that_fails_is_a_clear_error_and_the_episode_goes_on(threads: int) -> None:
    command = kernel_command({"threads": threads}, model="kernel_models:BalancedNetwork")
    user = []
    if os.getuid() == 0:  # root can't be denied processes
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        python = command.index(sys.executable)
        command[python:python] = user
        probe = [*user, sys.executable, "-c", "import nest"]
        if subprocess.run(probe, capture_output=True, check=False).returncode:
            pytest.skip("another user can't read this environment")
    with LocalBrain(command, environment=ENVIRONMENT) as brain:
        check_that_nothing_can_be_copied(brain, "nproc", "Resource temporarily unavailable", user)
    assert not group_of(brain.kernel_pid)


class denied:  # noqa: N801 - used as a function
    """Takes from processes the right to open files (``nofile``), or to fork (``nproc``)."""

    def __init__(self, pids: set[int], limit: str, user: list[str]) -> None:
        self.limit, self.user = limit, user
        self.before = {pid: self.prlimit(pid, "--raw", "--noheadings", "--output=SOFT") for pid in pids}

    def prlimit(self, pid: int, *options: str, value: str = "") -> str:
        command = [*self.user, "prlimit", f"--pid={pid}", f"--{self.limit}{value}", *options]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def __enter__(self) -> None:
        for pid in self.before:
            self.prlimit(pid, value="=1:")

    def __exit__(self, *exception: object) -> None:
        for pid, soft in self.before.items():
            self.prlimit(pid, value=f"={soft}:")


def test_a_continuation_that_is_not_exact_is_an_error() -> None:
    with start(model="Drifting") as brain:
        brain.reset(1)
        brain.step(DRIVE[0])
        instant = brain.snapshot()
        brain.step(DRIVE[1])
        brain.restore(instant)
        brain.step(DRIVE[0])
        brain.restore(instant)
        with pytest.raises(BrainFault, match=r"first exchange after snapshot 1 differs.*not exact"):
            brain.step(DRIVE[1])
        brain.reset(1)
        brain.step(DRIVE[1])


def test_no_instant_outlives_the_brain() -> None:
    brain = start(2)
    brain.reset(1)
    for _ in range(3):
        brain.step(DRIVE[0])
        brain.snapshot()
    brain.reset(2)
    pids = processes(brain)
    assert len(pids) == 5
    brain.close()
    assert not wait_until_gone(pids, limit_s=0.0)


@pytest.mark.parametrize("restored", [False, True])
def test_nothing_outlives_a_killed_user(restored: bool) -> None:
    command = kernel_command({"threads": 2}, model="kernel_models:Fragile")
    program = f"""
        import os, signal
        from robobrain.bridge import LocalBrain
        brain = LocalBrain({command!r})
        brain.reset(0)
        brain.step([0.0] * 4)
        instant = brain.snapshot()
        brain.snapshot()
        if {restored}:
            brain.restore(instant)  # the episode before still ends while this one hangs
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


def test_many_instants_leave_no_process_and_no_descriptor(single: LocalBrain) -> None:
    single.reset(1)
    before: list[int] = []
    for number in range(150):
        single.step(DRIVE[0])
        instant = single.snapshot()
        if number % 3:
            single.restore(instant)
        single.drop(instant)
        if number % 50 == 40:
            pids = processes(single)
            before.append(sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids))
    assert len(set(before)) == 1
    single.reset(1)
    assert len(processes(single)) == 2
