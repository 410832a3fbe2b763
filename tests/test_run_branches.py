from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from robobrain.errors import ConfigurationError, TableError
from robobrain.recording import check
from robobrain.recording import open as open_run
from robobrain.tasks.joystick.branches import load_condition
from robobrain.tasks.joystick.runner import RunPlan, run_plan

ROBOBRAIN = str(Path(sys.executable).with_name("robobrain"))


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("silenc: [M1]", "silenc.*unknown"),
        ("stimulation: {duration_ms: 5, amplitudes: {Thumb: 1}}", "unknown muscles"),
        ("stimulation: {duration_ms: -5, amplitudes: {}}", "not be negative"),
        ("[]", "mapping"),
    ],
)
def test_conditions_that_can_not_be_used_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises((TableError, ConfigurationError), match=message):
        load_condition(written(tmp_path, "wrong.yaml", text))


@pytest.mark.slow
def test_the_command_shows_the_memory_of_instants() -> None:
    command = [ROBOBRAIN, "brain", "snapshots", "tiny", "--count", "2", "--every-ms", "20"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "2 instants, at most 16" in said
    assert "private MB" in said


@pytest.mark.slow
def test_branches_share_the_past_and_differ_after(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "branches"
    run_plan(RunPlan(out=run, brain="tiny", trials=1, threads=1))
    files = [
        written(tmp_path, "push.yaml", "stimulation: {duration_ms: 300, amplitudes: {Humerus2: 1.0}}"),
        written(tmp_path, "lesion.yaml", "silence: [M1]"),
        written(tmp_path, "noise.yaml", "seed: 9"),
    ]
    conditions = [part for file in files for part in ("--with", str(file))]
    command = [ROBOBRAIN, "branch", str(run), "--at", "500", "--for", "300", "--out", str(out), *conditions]
    subprocess.run(command, check=True, capture_output=True)
    assert (out / "branches.png").stat().st_size > 10_000
    branches = {path.name: open_run(path) for path in out.iterdir() if path.is_dir()}
    assert set(branches) == {"as-recorded", "push", "lesion", "noise"}
    assert all(check(branch.path) == [] for branch in branches.values())
    recorded = open_run(run).array("joystick_mm", 500.5, 800.5)
    courses = {name: branch.array("joystick_mm") for name, branch in branches.items()}
    assert all(np.array_equal(course[0], recorded[0]) for course in courses.values())
    assert np.array_equal(courses["as-recorded"][1], recorded[1])
    for name in ("push", "lesion", "noise"):
        assert not np.array_equal(courses[name][1], recorded[1]), name
    assert courses["push"][1][:, 1].max() > courses["lesion"][1][:, 1].max() + 2.0
    rate = branches["lesion"].array("region_rate_hz")[1]
    column = branches["lesion"].streams["region_rate_hz"].columns.index("M1")
    assert (np.diff(rate[1:, column]) < 0.0).all()
