"""What a run holds after its writer was killed, its disk filled up, or its directory was refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from robobrain import recording
from robobrain.cli.app import app
from robobrain.errors import RecordingError
from robobrain.recording.layout import LOCK
from robobrain.recording.report import write_report
from robobrain.recording.writer import RESERVE_BYTES

WRITER = """
import sys
import numpy as np
from robobrain import recording

with recording.create(sys.argv[1], {}, segment_bytes=int(sys.argv[2])) as writer:
    writer.declare("ramp", "ms", ("t", "negative"))
    print("ready", flush=True)
    said = 0
    for seq in range(1, 10**9):
        t_ms = np.arange(50.0) + 50 * (seq - 1)
        writer.append("ramp", t_ms, np.stack([t_ms, -t_ms], axis=1))
        writer.spikes(np.repeat(t_ms, 40), np.arange(2000))
        writer.trial({"index": seq})
        writer.commit()
        if writer.committed > said:
            said = writer.committed
            print(said, flush=True)
"""


@pytest.mark.parametrize("attempt", range(10))
def test_kill_loses_nothing_acknowledged(tmp_path: Path, attempt: int) -> None:
    path = tmp_path / "run"
    command = [sys.executable, "-c", WRITER, str(path), "400000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(float(np.random.default_rng(attempt).uniform(0.0, 0.8)))
        if attempt == 0:
            assert recording.open(path).status == "running"
        process.kill()
        said = process.stdout.read().split()
    acknowledged = int(said[-1]) if said else 0
    run = recording.open(path)
    assert run.status == "interrupted"
    assert recording.check(path) == []
    held = run.commits
    assert held >= acknowledged
    if held:
        t_ms, values = run.array("ramp")
        np.testing.assert_array_equal(t_ms, np.arange(50.0 * held))
        np.testing.assert_array_equal(values[:, 1], -t_ms)
        assert len(run.spikes()[0]) == 2000 * held
        assert [trial["index"] for trial in run.trials] == list(range(1, held + 1))


RAGGED = """
import sys
import numpy as np
from robobrain import recording

signals = {"joystick": (2060, 1), "rates": (2051, 10), "lfp": (2001, 50), "V_m": (1999, 1)}
monitors = [
    {"name": name, "unit": "1", "columns": ["x"], "interval_ms": float(signals[name][1])}
    for name in ("lfp", "V_m")
]
brain = {"exchange_ms": 10.0, "histories": monitors}
writer = recording.create(sys.argv[1], {"brain": brain}, segment_bytes=int(sys.argv[2]))
for name, (end_ms, step_ms) in signals.items():
    writer.declare(name, "1", ("x",))
    t_ms = np.arange(1.0, end_ms + 1.0, step_ms)
    writer.append(name, t_ms, t_ms)
    writer.commit()
    writer.flush()
writer.declare("never sampled", "1", ("x",))
writer.spikes(np.arange(1.0, int(sys.argv[3]) + 1.0), np.ones(int(sys.argv[3])))
writer.commit()
writer.flush()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("segment_bytes", "last_spike_ms", "says"),
    [
        (10**6, 1800, "spikes at 1,800 ms; V_m at 1,999 ms; all other signals at 2,060 ms"),
        (1, 1800, "spikes at 1,800 ms; V_m at 1,999 ms; all other signals at 2,060 ms"),
        (10**6, 1999, "spikes and V_m at 1,999 ms; all other signals at 2,060 ms"),
        (10**6, 2050, "V_m at 1,999 ms; all other signals at 2,060 ms"),
    ],
)
def test_a_killed_run_says_where_spikes_and_signals_end(
    tmp_path: Path, segment_bytes: int, last_spike_ms: int, says: str
) -> None:
    path = tmp_path / "run"
    command = [sys.executable, "-c", RAGGED, str(path), str(segment_bytes), str(last_spike_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
    assert json.loads((path / "manifest.json").read_text())["status"] == "running"
    told = {word: CliRunner().invoke(app, ["recording", word, str(path)]) for word in ("info", "check")}
    assert {result.exit_code for result in told.values()} == {0}
    assert f"is sound: interrupted, {recording.open(path).commits} commits" in told["check"].output
    assert told["check"].output.splitlines()[1] == f"ends: {says}"
    rows = {line.split("  ")[0].strip(): line for line in told["info"].output.splitlines()}
    assert says in rows["ends"]
    assert "interrupted: its writer was killed, so that its manifest says running" in rows["status"]
    if segment_bytes == 1:
        assert says in write_report(recording.open(path)).read_text()


@pytest.mark.parametrize(
    ("status", "words", "is_ragged"),
    [
        ("complete", "complete", False),
        ("interrupted", "interrupted: it was asked to end, and all up to then is there", False),
        ("failed", "failed: a fault ended it; what was committed before is there", True),
    ],
)
def test_info_says_what_a_status_means_and_what_ended_a_run(
    tmp_path: Path, status: str, words: str, is_ragged: bool
) -> None:
    writer = recording.create(tmp_path / "run", {})
    writer.declare("x", "1", ("x",))
    writer.append("x", np.arange(101.0), np.zeros(101))
    writer.spikes([50.0], [1])
    writer.close(status, "the brain was lost" if status == "failed" else "")
    told = CliRunner().invoke(app, ["recording", "info", str(writer.path)]).output
    assert f" {words} " in told
    assert ("spikes at 50 ms; all other signals at 100 ms" in told) == is_ragged
    assert ("the brain was lost" in told) == (status == "failed")


def test_what_broke_a_run_stands_in_its_manifest(tmp_path: Path) -> None:
    def record(error: BaseException) -> recording.Run:
        path = tmp_path / type(error).__name__
        with pytest.raises(type(error)), recording.create(path, {}):
            raise error
        return recording.open(path)

    assert record(ValueError("a number too many")).manifest["error"] == "a number too many"
    assert record(AssertionError()).manifest["error"] == "AssertionError"
    assert "error" not in record(KeyboardInterrupt()).manifest


def test_killed_run_reads_from_a_read_only_copy(tmp_path: Path) -> None:
    with recording.create(tmp_path / "run", {}, segment_bytes=1) as writer:
        writer.declare("x", "1", ("x",))
        for i in range(3):
            writer.append("x", float(i), float(i))
            writer.commit()
            writer.flush()
        shutil.copytree(writer.path, tmp_path / "copy")  # as a kill at this moment would leave it
    for place in [*(tmp_path / "copy").iterdir(), tmp_path / "copy"]:
        place.chmod(0o555 if place.is_dir() else 0o444)
    run = recording.open(tmp_path / "copy")
    assert run.status == "interrupted"
    assert run.array("x")[1][:, 0].tolist() == [0, 1, 2]


FULL_DISK = """
import json, resource, sys
import numpy as np
from robobrain import recording
from robobrain.errors import RecordingError

resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
rng = np.random.default_rng(0)
error = ""
try:
    with recording.create(sys.argv[1], {}) as writer:
        writer.declare("noise", "1", tuple("abcdefgh"))
        for i in range(100):
            writer.append("noise", i * 1000.0 + np.arange(1000), rng.random((1000, 8)))
            writer.commit()
            if i % 2 == 0:
                writer.flush()
except RecordingError as failure:
    error = str(failure)
print(json.dumps({"error": error, "committed": writer.committed}))
"""


def test_full_disk_stops_the_run_and_keeps_what_was_committed(tmp_path: Path) -> None:
    path = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    told = json.loads(done.stdout)
    assert told["error"].startswith(f"Recording to {path} stopped: the disk is full")
    assert f"The first {told['committed']} commits are safe" in told["error"]
    assert "Traceback" not in done.stderr
    run = recording.open(path)
    assert run.status == "failed"
    assert run.manifest["error"] == told["error"]
    assert 1 <= run.commits == told["committed"] < 100
    np.testing.assert_array_equal(run.array("noise")[0], np.arange(1000.0 * run.commits))
    assert recording.check(path) == []


def test_a_run_holds_room_for_its_end(tmp_path: Path) -> None:
    with recording.create(tmp_path / "run", {}) as writer:
        assert (writer.path / LOCK).stat().st_blocks * 512 >= RESERVE_BYTES
    assert not (tmp_path / "run" / LOCK).exists()


def test_lost_directory_is_reported(tmp_path: Path) -> None:
    writer = recording.create(tmp_path / "run", {})
    shutil.rmtree(writer.path)
    writer.commit()
    with pytest.raises(RecordingError, match="directory is no longer there"):
        writer.flush()
    with pytest.raises(RecordingError, match="directory is no longer there"):
        writer.commit()
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_failure_while_closing_is_raised(tmp_path: Path) -> None:
    writer = recording.create(tmp_path / "run", {})
    shutil.rmtree(writer.path)
    with pytest.raises(RecordingError, match="directory is no longer there"):
        writer.close()


def test_refuses_a_directory_with_something_in_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RecordingError, match="not empty; a run is never overwritten"):
        recording.create(tmp_path, {})
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_takes_an_empty_directory(tmp_path: Path) -> None:
    recording.create(tmp_path, {}).close()
    assert recording.open(tmp_path).status == "complete"


@pytest.mark.parametrize("place", ["/proc/run", "/dev/null/run", "/dev/null"])
def test_refuses_a_place_that_can_not_be_written(place: str) -> None:
    with pytest.raises(RecordingError, match=f"Can't create the run directory {place}"):
        recording.create(place, {})


def test_leaves_nothing_when_the_start_fails(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="can't be recorded"):
        recording.create(tmp_path / "a" / "run", {"brain": object()})
    code = (
        "import resource, sys; from robobrain import recording\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "recording.create(sys.argv[1], {})"
    )
    (tmp_path / "empty").mkdir()
    for place in ("a/b/run", "empty"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / place)], capture_output=True, text=True, check=False
        )
        assert done.returncode != 0
        assert "RecordingError: Can't write a run to" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["empty"]
    assert not os.listdir(tmp_path / "empty")
