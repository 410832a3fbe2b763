"""Helpers of the tests that look at processes."""

from __future__ import annotations

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
