from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

from robobrain.bridge.link import LocalBrain
from robobrain.bridge.messages import Readings
from robobrain.errors import BrainFault, ConfigurationError, RecordingError, TableError
from robobrain.recording import check
from robobrain.recording import open as open_run
from robobrain.tasks.joystick.branches import AS_RECORDED, Condition, branch, load_condition
from robobrain.tasks.joystick.loop import Frame
from robobrain.tasks.joystick.runner import RunPlan, run_plan
from robobrain.tasks.joystick.streams import FLUSH_MS, Recorder

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
        ("seed: -5", "wrong.yaml.*seed -5 is outside 0"),
        ("seed: 18446744073709551616", "wrong.yaml.*is outside 0"),
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


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of one trial."""
    folder = tmp_path_factory.mktemp("recorded") / "run"
    run_plan(RunPlan(out=folder, brain="tiny", trials=1, threads=1))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("at_ms", "for_ms", "message"),
    [
        (math.inf, 100.0, "the instant is inf ms; give a finite time"),
        (100.0, math.inf, "length is inf ms; give a finite time"),
        (100.0, math.nan, "length is nan ms; give a finite time"),
        (0.0, 100.0, "the instant is 0 ms; .* at least one exchange period of the run, 10 ms"),
        (-10.0, 100.0, "the instant is -10 ms; .* at least one"),
        (105.0, 100.0, "105 ms, which is no multiple"),
        (1e9, 100.0, "after the end"),
    ],
)
def test_times_that_can_not_be_used_are_refused(
    run: Path, tmp_path: Path, at_ms: float, for_ms: float, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        branch(run, [Condition(name="a")], at_ms=at_ms, for_ms=for_ms, out=tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ([Condition(name="a b"), Condition(name="a-b")], "same folder 'a-b' as the branch 'a b'"),
        ([Condition(name="as-recorded")], "same folder"),
        ([Condition(name="branches.png")], "as the figure"),
        ([Condition(name="..")], "the name '..'"),
        ([Condition(name="a/b")], "without '/'"),
        ([Condition(name="\ud800")], "printable"),
        ([Condition(name="")], "the name ''"),
        ([Condition(name="x" * 400)], "200 bytes at most"),
        ([Condition(name="a"), Condition(name="b", silence=("NOPE",))], "no population or region 'NOPE'"),
    ],
)
def test_conditions_are_refused_before_a_brain_is_built(
    run: Path, tmp_path: Path, conditions: list[Condition], message: str
) -> None:
    built: list[str] = []
    with pytest.raises(ConfigurationError, match=message):
        branch(
            run,
            conditions,
            at_ms=100.0,
            for_ms=10.0,
            out=tmp_path / "out",
            on_build=lambda phase, _: built.append(phase),
        )
    assert not built
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_branches_share_the_past_and_differ_after(run: Path, tmp_path: Path) -> None:
    out = run.with_name("run-at-500")
    files = [
        written(tmp_path, "push.yaml", "stimulation: {duration_ms: 300, amplitudes: {Humerus2: 1.0}}"),
        written(tmp_path, "lesion.yaml", "silence: [M1]"),
        written(tmp_path, "noise.yaml", "seed: 9"),
    ]
    conditions = [part for file in files for part in ("--with", str(file))]
    command = [ROBOBRAIN, "branch", ".", "--at", "500", "--for", "300", *conditions]
    subprocess.run(command, check=True, capture_output=True, cwd=run)
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


@pytest.mark.slow
def test_a_branch_is_on_disk_while_it_goes_on_and_holds_no_frames(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[int] = []
    frames: list[weakref.ref[Frame]] = []
    add = Recorder.add

    def observed(recorder: Recorder, frame: Frame) -> None:
        frames.append(weakref.ref(frame))
        add(recorder, frame)
        alive.append(sum(one() is not None for one in frames))

    monkeypatch.setattr(Recorder, "add", observed)
    (one, *_) = branch(run, [Condition(name="a")], at_ms=100.0, for_ms=2000.0, out=tmp_path / "out", jobs=1)
    assert len(frames) == 400
    assert max(alive) <= FLUSH_MS / 10.0 + 3
    _, path_mm = open_run(one.path).array("joystick_mm")
    assert one.largest_pull_mm == path_mm[:, 1].max()


@pytest.mark.slow
def test_branches_up_to_the_loss_of_a_brain_are_kept(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditions, exchanges = [Condition(name="a"), Condition(name="b")], 20
    brains: list[LocalBrain] = []
    frames: list[Frame] = []
    begin, add = LocalBrain.reset, Recorder.add

    def observed_reset(brain: LocalBrain, seed: int) -> Readings:
        brains.append(brain)
        return begin(brain, seed)

    def observed_add(recorder: Recorder, frame: Frame) -> None:
        add(recorder, frame)
        frames.append(frame)
        if len(frames) == exchanges + 5:
            os.killpg(brains[0].kernel_pid, signal.SIGKILL)

    monkeypatch.setattr(LocalBrain, "reset", observed_reset)
    monkeypatch.setattr(Recorder, "add", observed_add)
    times = {"at_ms": 100.0, "for_ms": 10.0 * exchanges}
    with pytest.raises(BrainFault, match="signal 9"):
        branch(run, conditions, out=tmp_path / "out", jobs=1, **times)
    kept = {path.name: open_run(path) for path in (tmp_path / "out").iterdir()}
    folder = Condition(name=AS_RECORDED).folder
    assert {name: one.status for name, one in kept.items()} == {folder: "complete", "a": "failed"}
    assert all(check(one.path) == [] for one in kept.values())
    assert len(kept[folder].array("reward")[0]) == exchanges
    np.testing.assert_array_equal(kept["a"].array("reward")[0], [f.t_ms for f in frames[exchanges:]])
    with pytest.raises(RecordingError, match=r"out is not empty; .*Fix: choose a new directory"):
        branch(run, conditions, out=tmp_path / "out", jobs=1, **times)
