"""Damage that a check of a recording finds."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_runs import small_run

from robobrain import recording
from robobrain.errors import RecordingError
from robobrain.seeding import generator


def corrupt(path: Path, statement: str) -> None:
    with sqlite3.connect(path / "store-000000.sqlite") as connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE chunks SET data = zeroblob(length(data))", "checksum is wrong"),
        ("UPDATE chunks SET kept = x'0100000000000000'", "checksum is wrong"),
        ("UPDATE spikes SET n = n + 1", "don't make"),
        ("UPDATE chunks SET t1_ms = t1_ms + 1", "the index says"),
        ("DELETE FROM commits WHERE seq = 1", "commits are missing"),
        ("DELETE FROM spikes", "the manifest states spikes = 2"),
        ("UPDATE trials SET record = 'x'", "not a JSON mapping"),
        ("UPDATE meta SET value = 'other' WHERE key = 'run_id'", "run_id is 'other'"),
        ("CREATE TABLE more (x)", "differs from the file whose hash"),
    ],
)
def test_check_finds_damage(tmp_path: Path, statement: str, says: str) -> None:
    with small_run(tmp_path / "run") as writer:
        for i in range(2):
            writer.append("joystick_mm", float(i), [1.0 + i, 2.0])
            writer.spikes([float(i)], [1])
            writer.trial({"index": i})
            writer.commit()
            writer.flush()
    assert recording.check(writer.path) == []
    corrupt(writer.path, statement)
    assert says in "\n".join(recording.check(writer.path))


@pytest.mark.parametrize("status", ["complete", "interrupted", "failed"])
def test_check_looks_at_the_trial_table(tmp_path: Path, status: str) -> None:
    writer = small_run(tmp_path / "run")
    writer.trial({"index": 0, "way_mm": [1.5, 2.0]})
    writer.close(status)
    table = writer.path / "trials.csv"
    whole = table.read_bytes()
    assert recording.check(writer.path) == []
    table.write_bytes(b"\xff\x00abc")
    assert "trials.csv differs from the trials" in "\n".join(recording.check(writer.path))
    recording.backup(writer.path, tmp_path / "copy")
    assert (tmp_path / "copy" / "trials.csv").read_bytes() == whole
    assert recording.check(tmp_path / "copy") == []
    table.unlink()
    assert "trials.csv can't be read: No such file" in "\n".join(recording.check(writer.path))
    (writer.path / "writer.lock").touch()  # as a kill between manifest and table leaves it
    assert recording.check(writer.path) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"status": 7, "brain": None}, "status is 7, which it can't be; brain is None"),
        ({"status": "done"}, "status is 'done', not one of running, complete, interrupted, failed"),
        ({"status": "running"}, "says running, yet states segments and totals"),
        ({"brain": {"populations": [{"name": "X"}]}}, "an entry of the brain's populations is incomplete"),
        ({"segments": [{"file": "store-000000.sqlite"}]}, "an entry of segments is incomplete"),
        ({"segments": "all"}, "segments is 'all', which it can't be"),
        ({"totals": 5}, "totals is 5, which it can't be"),
        ({"totals": ...}, "yet lacks the totals and segments"),
        ({"run_id": ...}, "run_id is missing"),
    ],
)
def test_check_finds_a_damaged_manifest(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    with small_run(tmp_path / "run") as writer:
        writer.append("joystick_mm", 0.0, [1.0, 2.0])
    file = writer.path / "manifest.json"
    manifest = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in manifest.items() if value is not ...}))
    assert says in "\n".join(recording.check(writer.path))


def test_a_run_whose_store_is_missing_is_refused(tmp_path: Path) -> None:
    with small_run(tmp_path / "run") as writer:
        (tmp_path / "killed").mkdir()
        for name in ("manifest.json", "writer.lock"):
            shutil.copy(writer.path / name, tmp_path / "killed")
    (writer.path / "store-000000.sqlite").unlink()
    for path in (writer.path, tmp_path / "killed"):
        with pytest.raises(RecordingError, match=r"The store of .* is missing"):
            recording.open(path)
        assert "is missing" in recording.check(path)[0]


def test_check_finds_lost_and_broken_segments(tmp_path: Path) -> None:
    rng = generator(1, "noise")
    with small_run(tmp_path / "run", segment_bytes=1) as writer:
        for i in range(3):
            writer.append("joystick_mm", np.arange(1000.0) + 1000 * i, rng.random((1000, 2)))
            writer.commit()
            writer.flush()
    segment = writer.path / "store-000002.sqlite"
    whole = segment.read_bytes()
    segment.write_bytes(whole[: len(whole) // 2])
    assert "store-000002.sqlite" in "\n".join(recording.check(writer.path))
    segment.unlink()
    assert "a segment is missing" in "\n".join(recording.check(writer.path))
