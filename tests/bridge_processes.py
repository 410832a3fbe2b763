"""Helpers of the tests that look at processes."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Return whether process ``pid`` exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def group_of(leader: int) -> set[int]:
    """Return the living processes whose group is led by ``leader``."""
    pids = {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    return {pid for pid in pids if is_alive(pid) and _group(pid) == leader}


def settled_group(leader: int, size: int, limit_s: float = 10.0) -> set[int]:
    """Return the group of ``leader`` once it has ``size`` processes; a replaced episode ends a bit later."""
    end = time.monotonic() + limit_s
    while len(pids := group_of(leader)) != size and time.monotonic() < end:
        time.sleep(0.01)
    assert len(pids) == size, pids
    return pids


def settled_descriptors(pids: set[int], quiet_s: float = 0.5, limit_s: float = 10.0) -> int:
    """Return the open descriptors of ``pids`` once their number stays; a copy closes what it inherited."""
    end = time.monotonic() + limit_s
    count, since = -1, time.monotonic()
    while time.monotonic() < min(since + quiet_s, end):
        now = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
        if now != count:
            count, since = now, time.monotonic()
        time.sleep(0.01)
    return count


def wait_until_gone(pids: set[int], limit_s: float = 10.0) -> set[int]:
    """Wait for the processes to end and return those that did not."""
    end = time.monotonic() + limit_s
    while (left := {pid for pid in pids if is_alive(pid)}) and time.monotonic() < end:
        time.sleep(0.02)
    return left


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def tree_of(root: int) -> set[int]:
    """Return ``root`` and all living processes that come from it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and is_alive(int(entry.name)):
            stat = (entry / "stat").read_text()
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def listening(pids: set[int]) -> set[tuple[str, int]]:
    """Return protocol and port of every TCP or UDP socket of ``pids`` that others can send to."""
    inodes = set()
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                inodes.add(os.readlink(entry))
    ports = set()
    for table, state in {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}.items():
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == state and f"socket:[{fields[9]}]" in inodes:
                ports.add((table.rstrip("6"), int(fields[1].rpartition(":")[2], 16)))
    return ports
