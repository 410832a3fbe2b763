"""Backups of a run while it is written, compact copies, and the commands that make them."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_runs import make_run
from typer.testing import CliRunner

from robobrain import recording
from robobrain.cli.app import app
from robobrain.errors import RecordingError

ROWS, SPIKES = 20, 40


def write_commit(writer: recording.RunWriter, number: int) -> None:
    t_ms = np.arange(float(ROWS)) + ROWS * number
    writer.append("ramp", t_ms, np.stack([t_ms, -t_ms], axis=1))
    writer.spikes(np.repeat(t_ms, SPIKES // ROWS), np.arange(SPIKES))
    writer.trial({"index": number})
    writer.event(t_ms[0], "tick", {"number": number})
    writer.commit()


def assert_holds(run: recording.Run, acknowledged: int) -> None:
    """Assert that the run holds whole commits, in order, and at least those acknowledged."""
    held = len(run.trials)
    assert held >= acknowledged
    t_ms, values = run.array("ramp")
    np.testing.assert_array_equal(t_ms, np.arange(float(ROWS * held)))
    np.testing.assert_array_equal(values[:, 1], -t_ms)
    assert len(run.spikes()[0]) == SPIKES * held
    assert [event.detail["number"] for event in run.events] == list(range(held))


def test_backups_of_a_moving_store_are_sound(tmp_path: Path) -> None:
    done = threading.Event()

    def record() -> None:
        with recording.create(tmp_path / "run", {}, segment_bytes=60_000) as writer:
            writers.append(writer)
            writer.declare("ramp", "ms", ("t", "negative"))
            number = 0
            while not done.is_set():
                write_commit(writer, number)
                writer.flush()
                number += 1

    writers: list[recording.RunWriter] = []
    thread = threading.Thread(target=record)
    thread.start()
    while not writers or not writers[0].committed:
        assert thread.is_alive()
    for copy in range(15):
        acknowledged = writers[0].committed
        copied = recording.backup(tmp_path / "run", tmp_path / f"copy{copy}")
        assert copied.status == "interrupted"
        assert recording.check(copied.path) == []
        assert_holds(copied, acknowledged)
    done.set()
    thread.join()
    final = recording.backup(tmp_path / "run", tmp_path / "final")
    assert final.status == "complete"
    assert len(final.segments) > 1
    assert recording.check(final.path) == []
    assert (final.path / "trials.csv").read_bytes() == (tmp_path / "run" / "trials.csv").read_bytes()


def test_backup_never_overwrites(tmp_path: Path) -> None:
    recording.create(tmp_path / "run", {}).close()
    with pytest.raises(RecordingError, match="not empty"):
        recording.backup(tmp_path / "run", tmp_path / "run")
    with pytest.raises(RecordingError, match="no run directory"):
        recording.backup(tmp_path, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("copy", [recording.backup, recording.compact])
@pytest.mark.parametrize("place", ["run/sub", "run/figures/deep/sub", "link/sub"])
def test_no_copy_lies_in_the_run_it_copies(tmp_path: Path, copy: Any, place: str) -> None:
    recording.create(tmp_path / "run", {}).close()
    (tmp_path / "link").symlink_to("run")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RecordingError, match="lies inside the run"):
        copy(tmp_path / "run", tmp_path / place)
    assert sorted(tmp_path.rglob("*")) == before
    copy(tmp_path / "link", tmp_path / "run2")
    assert recording.check(tmp_path / "run2") == []


def test_compact_run_is_the_same_in_fewer_commits(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", trials=6, seconds=16, status="interrupted")
    before = {path.name: path.read_bytes() for path in run.segments}
    compacted = recording.compact(run.path, tmp_path / "compact")
    assert recording.check(compacted.path) == []
    assert compacted.status == "interrupted"
    assert compacted.manifest["compacted_from"] == run.manifest["run_id"]
    assert compacted.manifest["seed"] == run.manifest["seed"]
    assert compacted.manifest["started"] == run.manifest["started"]
    assert compacted.commits < run.commits
    # Files grow by pages, so a short run may come out as large as it was.
    assert sum(p.stat().st_size for p in compacted.segments) <= sum(p.stat().st_size for p in run.segments)
    assert compacted.streams == run.streams
    assert compacted.trials == run.trials
    assert compacted.events == run.events
    for read in (lambda r: r.spikes(), *(lambda r, n=name: r.array(n) for name in run.streams)):
        for ours, theirs in zip(read(compacted), read(run), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert {path.name: path.read_bytes() for path in run.segments} == before


def test_compact_waits_for_the_end(tmp_path: Path) -> None:
    with recording.create(tmp_path / "run", {}), pytest.raises(RecordingError, match="is being written"):
        recording.compact(tmp_path / "run", tmp_path / "compact")
    assert not (tmp_path / "compact").exists()


def test_compact_refuses_damage_that_it_would_hide(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", trials=1, seconds=1)
    with sqlite3.connect(run.segments[0]) as connection:
        connection.execute("UPDATE spikes SET senders = zeroblob(length(senders))")
    connection.close()
    with pytest.raises(RecordingError, match=r"spikes, commit \d+: the checksum is wrong"):
        recording.compact(run.path, tmp_path / "compact")
    assert not (tmp_path / "compact").exists()


def command(*words: object) -> str:
    result = CliRunner().invoke(app, ["recording", *map(str, words)], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    return result.output


def test_commands(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", trials=3, seconds=8)
    told = command("info", run.path)
    assert "complete" in told
    assert "joystick_mm" in told
    assert f"{run.spike_count:,}" in told
    assert "is sound" in command("check", run.path)
    assert "complete" in command("backup", run.path, tmp_path / "copy")
    assert "MB became" in command("compact", run.path, tmp_path / "compact")
    assert "3 trials" in command("tail", run.path)
    assert recording.check(tmp_path / "copy") == recording.check(tmp_path / "compact") == []


@pytest.mark.parametrize("columns", ["40", "400"])
def test_info_tells_names_in_full_where_it_is_no_terminal(tmp_path: Path, columns: str) -> None:
    names = [f"angle/shoulder_pro_retraction_{number}" for number in range(4)]
    with recording.create(tmp_path / "run", {"task": {"name": "a task " * 30 + "of words"}}) as writer:
        writer.declare("muscle_velocity_per_s", "1/s", names)
        writer.append("muscle_velocity_per_s", 1.0, np.zeros(4))
    result = CliRunner().invoke(app, ["recording", "info", str(tmp_path / "run")], env={"COLUMNS": columns})
    (row,) = (line for line in result.output.splitlines() if "muscle_velocity_per_s" in line)
    assert f"4: {', '.join(names)} " in row
    assert "a task " * 30 + "of words" in result.output


def test_check_command_fails_on_damage(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", trials=1, seconds=2)
    segment = run.segments[0]
    segment.write_bytes(segment.read_bytes()[:-4096])
    result = CliRunner().invoke(app, ["recording", "check", str(run.path)])
    assert result.exit_code == 1


def test_tail_follows_until_the_end(tmp_path: Path) -> None:
    told: list[str] = []
    with recording.create(tmp_path / "run", {}) as writer:
        writer.declare("ramp", "ms", ("t", "negative"))
        write_commit(writer, 0)
        writer.flush()
        thread = threading.Thread(target=lambda: told.append(command("tail", "--follow", tmp_path / "run")))
        thread.start()
        for number in range(1, 5):
            write_commit(writer, number)
    thread.join()
    for number in range(5):
        assert f"number {number}" in told[0]
    assert "complete: " in told[0]
