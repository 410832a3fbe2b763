"""Writing and reading back: what goes in comes out, in any order of calls, over any number of segments."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from made_up_runs import TWO_POPULATIONS, small_run

from robobrain import recording
from robobrain.errors import RecordingError
from robobrain.recording.layout import decode_times, encode_times
from robobrain.recording.store import Committer, SegmentStore
from robobrain.seeding import generator

numbers = st.floats(allow_nan=True, allow_infinity=True, width=64)
steps = st.lists(st.floats(0, 50, allow_nan=False), min_size=0, max_size=12)


@st.composite
def batches(draw: st.DrawFn) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]]:
    made = []
    t_ms = s_ms = 0.0
    for _ in range(draw(st.integers(0, 6))):
        t = t_ms + np.cumsum(draw(steps))
        constant = draw(st.booleans())
        values = draw(hnp.arrays(np.float64, (len(t), 2), elements=numbers))
        if constant and len(t):
            values[:] = values[0]
        s = s_ms + np.cumsum(np.round(draw(steps)))
        ids = draw(hnp.arrays(np.uint32, len(s), elements=st.sampled_from([1, 2, 65535, 65536, 2**32 - 1])))
        t_ms, s_ms = (t[-1] if len(t) else t_ms), (s[-1] if len(s) else s_ms)
        made.append((t, values, s, ids, draw(st.booleans())))
    return made


@settings(max_examples=25, deadline=None)
@given(batches(), st.sampled_from([1, 2**26]), st.floats(0, 300), st.floats(0, 300))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, parts: list[Any], segment_bytes: int, t0: float, t1: float
) -> None:
    path = tmp_path_factory.mktemp("run") / "run"
    with recording.create(path, TWO_POPULATIONS, segment_bytes=segment_bytes) as writer:
        writer.declare("pair", "mm", ("a", "b"))
        for t, values, s, ids, flush in parts:
            writer.append("pair", t, values)
            writer.spikes(s, ids)
            writer.commit()
            if flush:
                writer.flush()
    run = recording.open(path)
    t, values, s, ids = (
        np.concatenate([np.empty((0, 2) if k == 1 else 0), *(p[k] for p in parts)]) for k in range(4)
    )
    for (got_t, got), expected_t, expected in ((run.array("pair"), t, values), (run.spikes(), s, ids)):
        np.testing.assert_array_equal(got_t, expected_t)
        np.testing.assert_array_equal(got, expected)
    inside, fired = (t >= t0) & (t < t1), (s >= t0) & (s < t1)
    np.testing.assert_array_equal(run.array("pair", t0, t1)[1], values[inside])
    np.testing.assert_array_equal(run.spikes(None, t0, t1)[1], ids[fired])
    assert run.commits == len(parts) + 1
    assert recording.check(path) == []


def test_run_directory_tells_everything(tmp_path: Path) -> None:
    with small_run(tmp_path / "deep" / "run") as writer:
        assert recording.open(writer.path).status == "running"
        writer.append("joystick_mm", 1.0, [0.5, -2.0])
        writer.append("reward", [1.0, 2.0], [0, 1])
        writer.spikes([1.0, 1.0, 2.0], [3, 40, 41])
        writer.trial({"index": 0, "go_ms": None, "peak_pull_mm": np.float32(7.5), "outcome": "rewarded"})
        writer.trial({"index": 1, "go_ms": np.nan, "deviation": np.array([1, 2])})
        writer.event(2.0, "reward", {"trial": 0})
        writer.commit()
    run = recording.open(tmp_path / "deep" / "run")
    assert run.status == run.manifest["status"] == "complete"
    assert run.manifest["seed"] == 7
    assert run.manifest["versions"]["numpy"] == np.__version__
    assert run.manifest["totals"]["samples"] == {"joystick_mm": 1, "reward": 2}
    assert run.streams["joystick_mm"] == recording.Stream(
        name="joystick_mm", unit="mm", columns=("lateral", "pull")
    )
    assert run.array("reward")[1].dtype == np.int64
    assert run.spikes("S1_L4_Pyr")[1].tolist() == [41]
    assert run.populations["M1_L5B_PT"].region == "M1"
    assert run.span_ms == (1.0, 2.0)
    assert [trial["go_ms"] for trial in run.trials] == [None, None]
    assert run.trials[1]["deviation"] == [1, 2]
    assert run.events == [recording.Event(t_ms=2.0, name="reward", detail={"trial": 0})]
    table = (run.path / "trials.csv").read_text().splitlines()
    assert table[0] == "index,go_ms,peak_pull_mm,outcome,deviation"
    assert table[2] == '1,,,,"[1, 2]"'
    assert {p.name for p in run.path.iterdir()} == {"manifest.json", "store-000000.sqlite", "trials.csv"}


def test_segments_roll_over_and_stay_as_they_are(tmp_path: Path) -> None:
    with small_run(tmp_path / "run", segment_bytes=200_000) as writer:
        rng = np.random.default_rng(0)
        path = rng.random((40, 1000, 2))
        for i, block in enumerate(path):
            writer.append("joystick_mm", i * 1000.0 + np.arange(1000), block)
            writer.commit()
            writer.flush()
        first = recording.open(writer.path).segments[0].read_bytes()
    run = recording.open(tmp_path / "run")
    assert len(run.segments) > 3
    assert all(segment["bytes"] < 300_000 for segment in run.manifest["segments"])
    assert run.segments[0].read_bytes() == first
    np.testing.assert_array_equal(run.array("joystick_mm")[1], path.reshape(-1, 2))
    np.testing.assert_array_equal(run.array("joystick_mm", 20_500, 20_501)[1], path[20, 500:501])
    assert recording.check(run.path) == []


@pytest.mark.parametrize(
    ("values", "most_bytes"),
    [
        (np.full(50_000, 3.0), 8_000),
        (np.full(50_000, np.nan), 8_000),
        (np.repeat(np.random.default_rng(0).random(500), 100), 24_000),
        (np.random.default_rng(0).random(50_000), 900_000),
    ],
    ids=["constant", "missing", "steps", "noise"],
)
def test_only_changes_take_room(tmp_path: Path, values: np.ndarray, most_bytes: int) -> None:
    with small_run(tmp_path / "empty"):
        pass
    with small_run(tmp_path / "run") as writer:
        writer.append("joystick_mm", np.arange(50_000.0), np.stack([values, -values], axis=1))
    run = recording.open(tmp_path / "run")
    t_ms, read = run.array("joystick_mm")
    np.testing.assert_array_equal(t_ms, np.arange(50_000.0))
    np.testing.assert_array_equal(read, np.stack([values, -values], axis=1))
    np.testing.assert_array_equal(run.array("joystick_mm", 4_950, 5_250)[1], read[4_950:5_250])
    empty = recording.open(tmp_path / "empty").manifest["segments"][0]["bytes"]
    assert run.manifest["segments"][0]["bytes"] - empty <= most_bytes
    assert recording.check(run.path) == []


@pytest.mark.parametrize("step", [1.0, 0.1, 10.0, 1 / 3])
def test_times_come_back_exactly(step: float) -> None:
    for t_ms in (step * np.arange(1, 1000), np.cumsum(np.full(1000, step)), np.array([1.0, 2.0])):
        np.testing.assert_array_equal(decode_times(encode_times(t_ms), len(t_ms)), t_ms)


def test_caller_may_reuse_its_arrays(tmp_path: Path) -> None:
    t_ms, values = np.zeros(1), np.zeros((1, 2))
    with small_run(tmp_path / "run") as writer:
        for i in range(5):
            t_ms[:], values[:] = i, i
            writer.append("joystick_mm", t_ms, values)
    assert recording.open(tmp_path / "run").array("joystick_mm")[1][:, 0].tolist() == [0, 1, 2, 3, 4]


def test_reads_while_it_is_written(tmp_path: Path) -> None:
    """Many reads, each of a moving store of small segments, see a growing prefix and nothing else."""
    done, problems, seen = threading.Event(), [], [0]

    def read() -> None:
        run = recording.open(tmp_path / "run")
        while not done.is_set():
            t_ms, values = run.array("joystick_mm")
            spikes = run.spikes()[0]
            if not np.array_equal(t_ms, np.arange(len(t_ms))) or not np.array_equal(values[:, 0], t_ms):
                problems.append("array")
            if len(spikes) < len(t_ms) or len(t_ms) < seen[-1]:
                problems.append("order")
            seen.append(len(t_ms))

    with small_run(tmp_path / "run", segment_bytes=60_000) as writer:
        writer.commit()
        writer.flush()
        thread = threading.Thread(target=read)
        thread.start()
        for i in range(150):
            t_ms = np.arange(20.0) + 20 * i
            writer.append("joystick_mm", t_ms, np.stack([t_ms, t_ms], axis=1))
            writer.spikes(t_ms, np.arange(20))
            writer.commit()
            writer.flush()
        done.set()
        thread.join()
    assert not problems
    assert seen[-1] > 0
    assert recording.check(tmp_path / "run") == []


def test_slow_disk_makes_the_caller_wait_and_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = SegmentStore.write
    monkeypatch.setattr(SegmentStore, "write", lambda *arguments: (time.sleep(0.05), write(*arguments)))
    rng = generator(1, "noise")
    with small_run(tmp_path / "run", pending_bytes=10_000) as writer:
        for i in range(12):
            writer.append("joystick_mm", np.arange(400.0) + 400 * i, rng.random((400, 2)))
            writer.commit()
        assert writer.backpressure_ms > 50
        waited = writer.backpressure_ms
    run = recording.open(tmp_path / "run")
    assert len(run.array("joystick_mm")[0]) == 12 * 400
    assert run.manifest["backpressure_ms"] >= round(waited, 3)


def test_commit_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = threading.Event()
    write = SegmentStore.write
    monkeypatch.setattr(SegmentStore, "write", lambda *arguments: (disk.wait(30), write(*arguments)))
    with small_run(tmp_path / "run") as writer:
        numbers = [writer.commit() for _ in range(50)]
        assert (numbers[-1], writer.committed, writer.backpressure_ms) == (50, 0, 0.0)
        disk.set()
        writer.flush()
        assert writer.committed == 50


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda w: w.append("paw_mm", 0.0, [1.0, 2.0]), "not declared. Declared: joystick_mm, reward"),
        (lambda w: w.append("joystick_mm", 0.0, [1.0]), r"shape \(1, 2\)"),
        (lambda w: w.append("joystick_mm", [0.0, 1.0], [1.0, 2.0]), r"shape \(2, 2\)"),
        (lambda w: w.append("joystick_mm", [2.0, 1.0], np.zeros((2, 2))), "never go back"),
        (lambda w: w.append("joystick_mm", np.nan, [0.0, 0.0]), "finite"),
        (lambda w: w.append("joystick_mm", np.inf, [0.0, 0.0]), "finite"),
        (lambda w: w.spikes([1.0, 2.0], [1]), "one time for each sender"),
        (lambda w: (w.spikes([5.0], [1]), w.spikes([4.0], [1])), "never go back"),
        (lambda w: w.declare("reward", "mm", ("reward",)), "already declared"),
        (lambda w: w.declare("x", "mm", ("a", "a")), "distinct columns"),
        (lambda w: w.declare("x", "mm", ("a",), dtype="float16"), "dtype must be one of"),
        (lambda w: w.trial({"run": object()}), "can't be recorded"),
        (lambda w: w.close("done"), "A run ends as one of"),
    ],
)
def test_refuses_what_makes_no_sense(tmp_path: Path, act: Any, says: str) -> None:
    with small_run(tmp_path / "run") as writer:
        writer.append("joystick_mm", 0.0, [1.0, 2.0])
        with pytest.raises(RecordingError, match=says):
            act(writer)
    assert recording.check(tmp_path / "run") == []
    assert recording.open(tmp_path / "run").status == "complete"


def test_closed_run_takes_nothing(tmp_path: Path) -> None:
    writer = small_run(tmp_path / "run")
    writer.close("interrupted")
    writer.close()
    assert recording.open(writer.path).status == "interrupted"
    with pytest.raises(RecordingError, match="is closed"):
        writer.commit()


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "interrupted"), (ValueError, "failed")])
def test_exception_closes_the_run(tmp_path: Path, error: type[BaseException], status: str) -> None:
    def session() -> None:
        with small_run(tmp_path / "run") as writer:
            writer.append("joystick_mm", 0.0, [1.0, 2.0])
            raise error

    with pytest.raises(error):
        session()
    run = recording.open(tmp_path / "run")
    assert run.status == status
    assert len(run.array("joystick_mm")[0]) == 1


def test_no_thread_is_left(tmp_path: Path) -> None:
    before = threading.active_count()
    with small_run(tmp_path / "run"):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_reader_refuses_what_it_can_not_read(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no run directory"):
        recording.open(tmp_path)
    with small_run(tmp_path / "run") as writer:
        pass
    with pytest.raises(RecordingError, match=r"no stream 'paw_mm'\. It has: joystick_mm, reward"):
        recording.open(writer.path).array("paw_mm")
    with pytest.raises(RecordingError, match=r"no population 'X'\. It has: M1_L5B_PT, S1_L4_Pyr"):
        recording.open(writer.path).spikes("X")
    manifest = writer.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format_version": 2', '"format_version": 99'))
    with pytest.raises(RecordingError, match="format version 99"):
        recording.open(writer.path)
    manifest.write_text("{")
    with pytest.raises(RecordingError, match=r"manifest.json can't be read"):
        recording.open(writer.path)


def test_committer_waits_for_nothing_when_idle(tmp_path: Path) -> None:
    committer = Committer(SegmentStore(tmp_path, "id"), tmp_path)
    committer.flush()
    committer.close()
    assert committer.failure is None


@pytest.mark.parametrize("path", [3, None, [], b"run"])
def test_what_is_no_path_is_no_run(path: Any) -> None:
    with pytest.raises(RecordingError, match="is no path of a run directory"):
        recording.open(path)


@pytest.mark.parametrize(
    ("read", "says"),
    [
        (lambda run: run.array(["x"]), "no stream"),
        (lambda run: run.array("x", "0"), "'0' is no time of a window"),
        (lambda run: run.array("x", 0.0, float("nan")), "nan is no time of a window"),
        (lambda run: run.spikes(None, [1.0]), "is no time of a window"),
        (lambda run: run.spikes(["M1"]), "no population"),
        (lambda run: run.spikes(np.array([1, 2])), "no population"),
    ],
)
def test_odd_names_and_windows_are_refused(tmp_path: Path, read: Any, says: str) -> None:
    with recording.create(tmp_path / "run", {}) as writer:
        writer.declare("x", "1", ("x",))
        writer.append("x", [1.0], [1.0])
    with pytest.raises(RecordingError, match=says):
        read(recording.open(tmp_path / "run"))
