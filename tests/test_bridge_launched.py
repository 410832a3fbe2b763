"""A kernel that a launcher starts: it calls at a socket, as it inherits nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bridge_processes import is_alive, wait_until_gone

from robobrain.bridge import LocalBrain
from robobrain.bridge.process import SOCKET
from robobrain.errors import BrainFault

HERE = str(Path(__file__).parent)
KERNEL = (
    "import os, socket, sys; sys.path.insert(0, sys.argv[1]); from bridge_kernels import SumModel;"
    "from robobrain.bridge.pipe import Pipe; from robobrain.bridge.serve import Server;"
    "connection = socket.socket(socket.AF_UNIX); connection.connect(sys.argv[2]);"
    "Server(SumModel(), Pipe(connection)).run()"
)
# A launcher closes what it inherited, and puts what it starts into a process group of its own.
LAUNCHER = (
    "import subprocess, sys; process = subprocess.Popen(sys.argv[1:], process_group=0);"
    "print('rank', process.pid, flush=True); sys.exit(process.wait() % 256)"
)
COMMAND = [sys.executable, "-c", LAUNCHER, sys.executable, "-c", KERNEL, HERE, SOCKET]


def members(session: int) -> set[int]:
    """Return the living processes of a session."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.add(int(entry.name))
    return found


def test_a_launched_kernel_answers_and_leaves_nothing_behind() -> None:
    with LocalBrain(COMMAND) as brain:
        brain.reset(5)
        assert brain.step([1.0, 2.0, 3.0]).outputs.tolist() == [6.0, 11.0]
        processes = members(brain.kernel_pid)
        assert len(processes) == 2
    assert not wait_until_gone(processes)


def test_a_lost_launcher_takes_the_kernel_along() -> None:
    with LocalBrain(COMMAND) as brain:
        brain.reset(5)
        processes = members(brain.kernel_pid)
        os.kill(brain.kernel_pid, signal.SIGKILL)
        assert not wait_until_gone(processes)
        with pytest.raises(BrainFault, match="signal 9"):
            brain.step(np.zeros(3))


def test_a_launcher_that_starts_nothing_is_quoted() -> None:
    with pytest.raises(BrainFault, match=r"(?s)launcher ended .*exit code 3.*no slots left"):
        LocalBrain([sys.executable, "-c", "print('no slots left'); raise SystemExit(3)", SOCKET])
    with pytest.raises(BrainFault, match="no-such-launcher can't be started"):
        LocalBrain(["no-such-launcher", SOCKET])


def test_launcher_and_kernel_end_with_who_started_them() -> None:
    script = (
        "import sys, time; from robobrain.bridge import LocalBrain;"
        "brain = LocalBrain(sys.argv[1:]); print(brain.kernel_pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, *COMMAND], stdout=subprocess.PIPE, text=True
    ) as user:
        assert user.stdout is not None
        launcher = int(user.stdout.readline())
        processes = members(launcher)
        assert is_alive(launcher)
        assert len(processes) == 2
        user.kill()
    assert not wait_until_gone(processes)
