from __future__ import annotations

import mmap
import os
import platform
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from robobrain.brain.holder import Channel, Team, fork, memory_of, use_huge_pages
from robobrain.brain.limits import Limits
from robobrain.brain.snapshots import Holder, Kept, Snapshots
from robobrain.errors import ConfigurationError


def kept(seq: int = 0) -> tuple[Kept, Channel]:
    ours, theirs = Channel.pair()
    holder = Holder(os.getpid(), ours)
    return Kept(holder=holder, parent=0, seed=1, seq=seq, t_ms=10.0 * seq), theirs


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_channel_carries_messages_and_the_ends_of_others() -> None:
    before = open_descriptors()
    one, other = Channel.pair()
    near, far = Channel.pair()
    one.send({"number": 3}, far)
    far.close()
    message, end = other.receive()
    assert message == {"number": 3}
    assert end is not None
    end.send("through")
    assert near.receive() == ("through", None)
    for channel in (one, near, end):
        channel.close()
    with pytest.raises(EOFError):
        other.receive()
    other.send("nobody is there")
    other.close()
    assert open_descriptors() == before


def test_a_copy_leaves_its_parent_as_it_was() -> None:
    state = [1]
    ours, theirs = Channel.pair()
    if fork() == 0:
        state.append(2)
        theirs.send(len(state))
        os._exit(0)
    theirs.close()
    assert ours.receive() == (2, None)
    os.wait()
    assert state == [1]
    ours.close()


def new_memory(content: bytes) -> mmap.mmap:
    """Return memory that this process did not have before; a bytearray may get what another one left."""
    memory = mmap.mmap(-1, len(content), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.write(content)
    return memory


def test_memory_is_private_and_shared() -> None:
    private, shared = memory_of(os.getpid())
    with new_memory(os.urandom(2**20) * 20):
        assert memory_of(os.getpid())[0] > private + 15 * 2**20
    assert shared > 0
    assert memory_of(2**22 + 1) == (0, 0)


def huge_bytes() -> int:
    (line,) = re.findall(r"AnonHugePages: +(\d+) kB", Path("/proc/self/smaps_rollup").read_text())
    return 1024 * int(line)


@pytest.mark.skipif(
    tuple(map(int, re.findall(r"\d+", platform.release())[:2])) < (6, 1)
    or not Path("/sys/kernel/mm/transparent_hugepage").exists(),
    reason="this Linux gathers no pages on demand",
)
def test_memory_is_gathered_in_huge_pages_and_stays_as_it_was() -> None:
    content = os.urandom(2**20) * 32
    with new_memory(content) as memory:
        before = huge_bytes()
        use_huge_pages()
        assert huge_bytes() > before + 2 * 2**20
        assert memory[:] == content


def test_several_threads_without_openmp_are_refused() -> None:
    program = """
        from robobrain.brain.holder import Team
        from robobrain.errors import BrainFault
        try:
            Team(threads=2)
        except BrainFault as error:
            print(error)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert "no libgomp" in result.stdout


def test_one_thread_works_where_it_is_called() -> None:
    done: list[int] = []
    Team(threads=1).run(lambda: done.append(os.getpid()))
    assert done == [os.getpid()]


def test_the_least_recently_used_goes_beyond_the_limit() -> None:
    snapshots = Snapshots(Limits(count=2))
    ends = [kept(seq) for seq in range(3)]
    assert snapshots.add(ends[0][0]) == (1, [])
    assert snapshots.add(ends[1][0]) == (2, [])
    snapshots.use(1)
    assert snapshots.add(ends[2][0]) == (3, [2])
    with pytest.raises(EOFError):
        ends[1][1].receive()
    assert [info.id for info in snapshots.infos()] == [1, 3]
    with pytest.raises(ConfigurationError, match="snapshot 2 was given up as the least recently used: 2 are"):
        snapshots.use(2)
    with pytest.raises(ConfigurationError, match="no snapshot 9; there are: 1, 3"):
        snapshots.drop(9)
    snapshots.close()


def test_the_limit_of_memory_leaves_the_newest() -> None:
    snapshots = Snapshots(Limits(count=9, private_bytes=1))
    assert snapshots.add(kept()[0]) == (1, [])
    assert snapshots.add(kept()[0]) == (2, [1])
    snapshots.close()


@pytest.mark.parametrize("limits", [{"count": 0}, {"private_bytes": 0}])
def test_limits_that_keep_nothing_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="at least 1"):
        Limits(**limits)


def test_first_exchanges_are_remembered_until_their_instant_goes() -> None:
    snapshots = Snapshots(Limits())
    snapshots.add(kept()[0])
    snapshots.record_start((1, None, ()), b"inputs", b"state")
    assert snapshots.starts((1, None, ())) == {b"inputs": b"state"}
    assert snapshots.starts((1, 7, ())) == {}
    for seed in range(100):
        snapshots.record_start((0, seed, ()), b"inputs", b"state")
    assert snapshots.starts((0, 0, ())) == {}
    assert snapshots.starts((0, 99, ())) == {b"inputs": b"state"}
    snapshots.drop(1)
    assert snapshots.starts((1, None, ())) == {}


def test_a_holder_has_an_entry_in_proc() -> None:
    assert Path("/proc/self/smaps_rollup").exists(), "memory of snapshots is read from there"
