"""What is left of a real run after kill -9 of any of its processes at any moment, and on a full disk.

The number of kills is 6, or what ROBOBRAIN_KILLS says.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from robobrain import recording
from robobrain.recording.overview import ragged_end

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("ROBOBRAIN_KILLS", "6"))
VICTIMS = ("environment", "kernel", "episode")
"""The environment's process holds the writer too: killing the one kills the other."""

RUN = """
import sys
from pathlib import Path
import numpy as np
from robobrain.tasks.joystick.runner import RunPlan, run_plan

witness = open(sys.argv[2], "wb", buffering=0)

def saw(frame, summary):
    witness.write(np.array([frame.t_ms]).tobytes())

run_plan(RunPlan(out=Path(sys.argv[1]), brain="tiny", trials=500, threads=1, seed=1), on_frame=saw)
"""


def children(pid: int) -> list[int]:
    """Return the living processes that ``pid`` and its descendants started, parents first."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = place.read_text().rsplit(")", 1)[1].split()[:2]
            if state != "Z":
                parents[int(place.parent.name)] = int(parent)
    own = sorted(child for child, parent in parents.items() if parent == pid)
    return own + [grandchild for child in own for grandchild in children(child)]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(holds: object, what: str, timeout_s: float = 120.0) -> None:
    end = time.monotonic() + timeout_s
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end, what
        time.sleep(0.01)


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", RUN, str(folder / "run"), str(folder / "witness")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def has_commits(path: Path) -> bool:
    return (path / "manifest.json").exists() and recording.open(path).commits > 0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("attempt", range(KILLS))
def test_kill_at_any_moment(tmp_path: Path, attempt: int) -> None:
    victim = VICTIMS[attempt % len(VICTIMS)]
    rng = np.random.default_rng(attempt)
    path = tmp_path / "run"
    with running(tmp_path) as process:
        wait_until(lambda: has_commits(path) or process.poll() is not None, "no commit")
        time.sleep(float(rng.uniform(0.0, 1.5)))
        copy = recording.backup(path, tmp_path / "copy")
        time.sleep(float(rng.uniform(0.0, 0.5)))
        started = children(process.pid)
        acknowledged = recording.open(path).commits
        chosen = {"environment": process.pid, "kernel": started[0], "episode": started[-1]}[victim]
        os.kill(chosen, signal.SIGKILL)
        process.wait(60)
        wait_until(lambda: not any(map(is_alive, started)), f"left running after the {victim} was killed")
    run = recording.open(path)
    assert run.status == ("interrupted" if victim == "environment" else "failed")
    assert run.commits >= acknowledged > 0
    reached_ms = np.fromfile(tmp_path / "witness")[-1]
    for sound in (run, copy):
        assert recording.check(sound.path) == []
        t_ms, _ = sound.array("phase_time_ms")
        np.testing.assert_array_equal(t_ms, 10.0 * np.arange(1, len(t_ms) + 1))
        assert sound.array("body_state")[0][-1] == sound.array("joystick_mm")[0][-1] == t_ms[-1]
    end_ms, last_spike_ms = float(run.array("phase_time_ms")[0][-1]), float(run.spikes()[0][-1])
    said = f"spikes at {last_spike_ms:,g} ms; all other signals at {end_ms:,g} ms"
    assert ragged_end(run) == (said if end_ms - last_spike_ms > 10.0 else None)
    assert end_ms - last_spike_ms <= 600.0 + 10.0
    lost_ms = reached_ms - run.array("phase_time_ms")[0][-1]
    print(f"\nkilled {victim} at {reached_ms:.0f} ms: lost {lost_ms:.0f} ms")
    assert lost_ms <= (1000.0 if victim == "environment" else 0.0)


def test_full_disk_ends_a_run_with_a_clear_message(tmp_path: Path) -> None:
    robobrain = Path(sys.executable).with_name("robobrain")
    command = f"ulimit -f 1000; exec {robobrain} run --brain tiny --out {tmp_path / 'run'}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 1
    assert "stopped: the disk is full" in done.stderr
    assert "Fix: make room" in done.stderr
    assert "Traceback" not in done.stderr
    run = recording.open(tmp_path / "run")
    assert run.status == "failed"
    assert run.commits > 0
    assert recording.check(run.path) == []
    assert len(run.array("joystick_mm")[0]) > 0
