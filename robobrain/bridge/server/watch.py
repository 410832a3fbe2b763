"""Whether the processes of a kernel get on, as Linux sees them.

A brain may be slow without bound, so time alone says nothing. A kernel that computes uses processor time or
waits for a processor; one that hangs sleeps, or is stopped by a signal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_KIB_PER_MIB = 1024.0


@dataclass(frozen=True, kw_only=True)
class Activity:
    """What processes do at one moment.

    Attributes:
        cpu_s: Processor time that they have used.
        is_active: One of them computes, waits for a processor, or waits for a disk.
        is_stopped: One of them is stopped by a signal.
    """

    cpu_s: float
    is_active: bool
    is_stopped: bool


def activity(processes: Iterable[list[str]]) -> Activity:
    """Return what processes do now, from their fields of /proc/PID/stat."""
    rows = list(processes)
    return Activity(
        cpu_s=sum(int(fields[11]) + int(fields[12]) for fields in rows) / _TICKS_PER_S,
        is_active=any(fields[0] in "RD" for fields in rows),
        is_stopped=any(fields[0] in "Tt" for fields in rows),
    )


def memory_mib(session: int, ranks: Sequence[int] = ()) -> float:
    """Return the memory of the processes of ``session`` and of ``ranks``, each shared page counted once."""
    total_kib = 0
    for entry in Path("/proc").iterdir():
        fields = _fields(entry)
        if fields and (int(fields[3]) == session or int(entry.name) in ranks):
            total_kib += _proportional_kib(entry)
    return total_kib / _KIB_PER_MIB


def _proportional_kib(entry: Path) -> int:
    try:
        lines = (entry / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _fields(entry: Path) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on, none where it is no process."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
    except OSError:
        return []


class StallDetector:
    """Tells from repeated looks whether the processes of a brain have come to a halt.

    The processes of one kernel are judged together, as all but one of them may rest. MPI ranks are judged
    one by one: each has to get on, and while one hangs the others use their processors to wait for it.
    """

    def __init__(self, session: int, stall_s: float, ranks: Callable[[], Sequence[int]] = tuple) -> None:
        """Watch the processes of ``session``, and ``ranks``.

        Args:
            session: Number of the session.
            stall_s: How long they may neither use processor time nor ask for it.
            ranks: Returns the process ids of the ranks, where there are such.
        """
        self._session, self._ranks = session, ranks
        self._stall_s = stall_s
        self.restart(0.0)

    def restart(self, now_s: float) -> None:
        """Forget what was seen: a new request begins."""
        self._began_s = now_s
        self._progress: dict[int, tuple[float, float]] = {}
        self._was_stopped = False

    def look(self, now_s: float) -> str | None:
        """Return why the brain counts as hung at time ``now_s``, None while it gets on."""
        session = [
            row for row in map(_fields, Path("/proc").iterdir()) if row and int(row[3]) == self._session
        ]
        ranks = {pid: row for pid in self._ranks() if (row := _fields(Path(f"/proc/{pid}")))}
        is_stopped = activity([*session, *ranks.values()]).is_stopped
        if is_stopped and self._was_stopped:
            return "is stopped by a signal"
        self._was_stopped = is_stopped
        if not ranks:
            return self._judge(0, activity(session), now_s)
        verdicts = [self._judge(pid, activity([row]), now_s) for pid, row in ranks.items()]
        return next((verdict for verdict in verdicts if verdict), None)

    def _judge(self, process: int, seen: Activity, now_s: float) -> str | None:
        """Note what one rank, or 0 for all processes together, has done since the last look."""
        cpu_s, since_s = self._progress.get(process, (-1.0, self._began_s))
        if seen.is_active or seen.cpu_s > cpu_s:
            self._progress[process] = seen.cpu_s, now_s
        elif now_s - since_s > self._stall_s:
            return f"{f'(rank {process}) ' if process else ''}made no progress for {self._stall_s:g} s"
        return None
