"""A brain in a control group whose memory runs out, as under a cluster's scheduler or in a container."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bridge_processes import group_of

from robobrain.brain.config import local_brain
from robobrain.bridge import LocalBrain
from robobrain.errors import SnapshotFault

SPARE_BYTES = 2 * 2**20
PARTS, STEPS = 5, 60


class MemoryGroup:
    """A control group below this process's own, of either version of Linux's interface."""

    def __init__(self) -> None:
        """Make the group.

        Raises:
            OSError: This user, or this machine, can't limit memory.
        """
        places = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
        name = f"robobrain-test-{os.getpid()}"
        if "memory" in places:
            self._path = Path("/sys/fs/cgroup/memory" + places["memory"]) / name
            self._limit, self._usage, self._none = "memory.limit_in_bytes", "memory.usage_in_bytes", "-1"
            self._empty = "memory.force_empty", "0"
        else:
            self._path = Path("/sys/fs/cgroup" + places[""]) / name
            self._limit, self._usage, self._none = "memory.max", "memory.current", "max"
            self._empty = "memory.reclaim", "1G"
        self._path.mkdir()
        if not (self._path / self._limit).exists():
            self.close()
            raise FileNotFoundError(self._limit)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Have this process start others in the group, which are charged for all that they use."""
        self._take_in(self._path)
        try:
            yield
        finally:
            self._take_in(self._path.parent)

    def _take_in(self, path: Path) -> None:
        (path / "cgroup.procs").write_text(str(os.getpid()))

    @contextlib.contextmanager
    def spare(self, size: int) -> Iterator[None]:
        """Allow ``size`` bytes more than are in use, cached files aside."""
        with contextlib.suppress(OSError):  # it tells so where not all that was asked for can be given back
            (self._path / self._empty[0]).write_text(self._empty[1])
        used = int((self._path / self._usage).read_text())
        (self._path / self._limit).write_text(str(used + size))
        try:
            yield
        finally:
            (self._path / self._limit).write_text(self._none)

    def close(self) -> None:
        self._path.rmdir()


@pytest.fixture
def group() -> Iterator[MemoryGroup]:
    if len(Path("/proc/swaps").read_text().splitlines()) > 1:
        pytest.skip("memory does not run out here, it goes to swap")
    try:
        one = MemoryGroup()
    except OSError as error:
        pytest.skip(f"memory can't be limited here: {error}")
    yield one
    one.close()


def run(brain: LocalBrain) -> bytes:
    """Return all outputs and spikes of some steps."""
    drive = np.random.default_rng(1).random((STEPS, brain.description.input_size), dtype=np.float32)
    readings = [brain.step(values) for values in drive]
    spikes = [one.spikes for one in readings if one.spikes is not None]
    assert spikes
    parts = [one.outputs for one in readings] + [part for one in spikes for part in (one.t_ms, one.sender)]
    return b"".join(part.tobytes() for part in parts)


def score(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


@pytest.mark.parametrize("threads", [1, 2])
def test_where_memory_runs_out_instants_are_lost_and_the_episode_goes_on(
    group: MemoryGroup, threads: int
) -> None:
    with group.inside():
        started = local_brain("tiny", threads=threads, record_spikes=True)
    with started as brain:
        brain.reset(1)
        undisturbed = [run(brain) for _ in range(PARTS)]
        brain.reset(1)
        again, taken = [], []
        for _ in range(PARTS - 1):
            again.append(run(brain))
            taken.append(brain.snapshot())
        with group.spare(SPARE_BYTES):
            again.append(run(brain))
        assert again == undisturbed
        kept = {info.id for info in brain.snapshots()}
        lost = sorted(set(taken) - kept)
        assert lost, "no memory was wanted, so nothing is tested"
        for act in (brain.restore, brain.drop):
            with pytest.raises(SnapshotFault, match=f"snapshot {lost[0]} is gone: the process that held it"):
                act(lost[0])
        brain.reset(1)
        assert run(brain) == undisturbed[0]
    assert not group_of(brain.kernel_pid)


def test_an_instant_is_the_first_to_go_until_it_is_the_episode() -> None:
    with local_brain("tiny", threads=1) as brain:
        brain.reset(1)
        before = score(brain.kernel_pid)
        instant = brain.snapshot()
        (holder,) = (info.pid for info in brain.snapshots())
        assert score(holder) > before
        brain.restore(instant)
        assert score(holder) == score(brain.kernel_pid) == before
        (holder,) = (info.pid for info in brain.snapshots())
        assert score(holder) > before
