"""Runs of the real brain and body, repeated, resumed and disturbed.

The kernel of one run is killed 4 times, or as often as ROBOBRAIN_TAKEOVERS says.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robobrain.brain.alterations import Alterations
from robobrain.brain.devices import Devices
from robobrain.brain.histories import FieldOutputMonitor, FieldSignal, parse_voltages
from robobrain.brain.monitors import CountDecoder, DirectOutputMonitor
from robobrain.brain.selectors import Selector
from robobrain.bridge.failover import FailoverBrain
from robobrain.errors import BrainFault, ConfigurationError, RecordingError, ReplayError
from robobrain.recording import check
from robobrain.recording import open as open_run
from robobrain.tasks.joystick.loop import Frame
from robobrain.tasks.joystick.replay import Journal, replay
from robobrain.tasks.joystick.runner import RunPlan, run_plan

pytestmark = pytest.mark.slow
ROBOBRAIN = str(Path(sys.executable).with_name("robobrain"))
TAKEOVERS = int(os.environ.get("ROBOBRAIN_TAKEOVERS", "4"))
TRIALS = 2 + TAKEOVERS // 10  # a killed kernel is replaced within some exchanges; a trial has about a hundred


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    run_plan(RunPlan(out=out, brain="tiny", trials=TRIALS, threads=1))
    return out


def assert_equal_runs(one: Path, other: Path) -> None:
    a, b = open_run(one), open_run(other)
    assert a.streams == b.streams
    for name in set(a.streams) - {"phase_time_ms"}:
        for left, right in zip(a.array(name), b.array(name), strict=True):
            assert left.tobytes() == right.tobytes(), name
    assert all(np.array_equal(left, right) for left, right in zip(a.spikes(), b.spikes(), strict=True))
    assert a.trials == b.trials
    assert a.events == b.events


def flip_a_byte(run: Path, stream: str) -> None:
    segment = run / "store-000000.sqlite"
    with sqlite3.connect(segment) as connection:
        (data,) = connection.execute(
            "SELECT data FROM chunks WHERE stream = (SELECT id FROM streams WHERE name = ?) "
            "ORDER BY length(data) DESC",
            (stream,),
        ).fetchone()
    connection.close()
    content = bytearray(segment.read_bytes())
    content[content.index(data[:64]) + 40] ^= 1
    segment.write_bytes(content)


def test_a_run_repeats_itself_bit_for_bit(recorded: Path) -> None:
    frames: list[Frame] = []
    exchanges = replay(recorded, on_frame=lambda frame, _: frames.append(frame))
    assert exchanges == len(frames) == len(open_run(recorded).array("brain_input")[0])


def test_monitors_are_recorded_and_change_nothing(recorded: Path, tmp_path: Path) -> None:
    cells, anywhere = parse_voltages("M1_L5B_PT:3"), (Selector(region="M1", layer="L23"),)
    devices = Devices(
        voltages=(cells,),
        fields=(
            FieldOutputMonitor(
                name="lfp",
                signal=FieldSignal.LFP,
                groups={"M1": anywhere},
                interval_ms=2.0,
                provenance="test",
            ),
        ),
        outputs=(
            DirectOutputMonitor(
                name="upper",
                unit="1",
                low=0.0,
                high=1e3,
                channels={"M1": anywhere},
                decoder=CountDecoder(),
                provenance="test",
            ),
        ),
    )
    listening = RunPlan(out=tmp_path / "run", brain="tiny", trials=TRIALS, threads=1, devices=devices)
    run_plan(listening)
    without, run = open_run(recorded), open_run(listening.out)
    assert check(run.path) == []
    for name in set(without.streams) - {"phase_time_ms", "brain_digest"}:  # a digest covers all outputs
        assert run.array(name)[1].tobytes() == without.array(name)[1].tobytes(), name
    for left, right in zip(run.spikes(), without.spikes(), strict=True):
        assert np.array_equal(left, right)

    potentials, home = run.streams[cells.name], run.populations["M1_L5B_PT"]
    assert potentials.unit == "mV"
    ids = [int(column) for column in potentials.columns]
    assert len(ids) == 3
    assert all(home.first_id <= one < home.first_id + home.size for one in ids)
    t_ms, values = run.array(cells.name)
    _, end_ms = run.span_ms
    assert np.array_equal(t_ms, np.arange(t_ms[0], t_ms[-1] + 1.0))
    assert t_ms[0] <= 2.0
    assert t_ms[-1] >= end_ms - 2.0
    assert values.shape == (len(t_ms), 3)
    assert np.isfinite(values).all()
    assert (np.abs(np.median(values, axis=0) + 65.0) < 30.0).all()
    assert (values.std(axis=0) > 0.1).all()

    exchange_ms, counts = run.array("upper")
    chosen = [p for p in run.populations.values() if p.name.startswith("M1_L23")]
    spike_ms = np.sort(np.concatenate([run.spikes(p.name)[0] for p in chosen]))
    arrived = np.histogram(spike_ms + 1.0, np.concatenate(([0.0], exchange_ms)) + 1e-6)[0]
    assert np.array_equal(counts[1:, 0], arrived[1:])
    assert counts[0, 0] >= arrived[0]  # the first has those too that were on their way at the start
    assert run.streams["lfp"].unit == "pA"
    assert np.ptp(run.array("lfp")[1]) > 0.0
    assert (run.path / "figures" / "fields.png").exists()

    assert Journal(run.path).plan.devices == devices
    assert replay(run.path) == len(exchange_ms)


def test_monitors_that_do_not_fit_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    for text, problem in (("M1_L5B_PT:999999", "count = 999999"), ("M1_L9:2", "no population 'M1_L9'")):
        plan = RunPlan(out=tmp_path / "run", brain="tiny", devices=Devices(voltages=(parse_voltages(text),)))
        with pytest.raises(ConfigurationError, match=problem):
            run_plan(plan)
    for text in ("M1_L5B_PT", "M1_L5B_PT:", ":3", "M1_L5B_PT:-1", "M1_L5B_PT:two", "M1_L5B_PT:0"):
        with pytest.raises(ConfigurationError, match=r"POPULATION:COUNT|count = 0"):
            parse_voltages(text)
    assert not (tmp_path / "run").exists()


def test_another_number_of_threads_is_named_with_the_first_difference(recorded: Path) -> None:
    with pytest.raises(ReplayError, match=r"exchange 1 \(10 ms\): brain_digest.*threads 1 then, 2 now"):
        replay(recorded, threads=2)


def test_a_flipped_byte_in_the_journal_is_found_and_named(recorded: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(recorded, damaged)
    flip_a_byte(damaged, "brain_input")
    with pytest.raises(RecordingError, match=r"damaged: .*stream brain_input, commit \d+: the checksum"):
        replay(damaged)


@pytest.mark.parametrize(
    ("table", "column", "named"),
    [
        *(
            ("chunks", column, r"stream \w+, commit \d+: the checksum")
            for column in ("times", "kept", "data")
        ),
        *(("spikes", column, r"spikes, commit \d+: the check") for column in ("times", "counts", "senders")),
        ("trials", "record", "store-000000.sqlite: differs from the file whose hash"),
        ("events", "detail", "store-000000.sqlite: differs from the file whose hash"),
    ],
)
def test_damage_of_every_kind_of_record_is_named(
    recorded: Path, tmp_path: Path, table: str, column: str, named: str
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(recorded, damaged)
    connection = sqlite3.connect(damaged / "store-000000.sqlite")
    query = f"SELECT rowid, {column} FROM {table} WHERE length({column}) > 3 ORDER BY rowid DESC"
    row, content = connection.execute(query).fetchone()
    if isinstance(content, str):
        content = content.replace("1", "2") if "1" in content else content.replace("0", "1") + " "
    else:
        content = bytes([content[0] ^ 4]) + content[1:]
    with connection:
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (content, row))
    connection.close()
    with pytest.raises(RecordingError, match=rf"the journal of .* is damaged: .*{named}"):
        Journal(damaged)


def test_a_flipped_bit_anywhere_in_the_store_is_found(recorded: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(recorded, damaged)
    segment = damaged / "store-000000.sqlite"
    whole = segment.read_bytes()
    rng = random.Random(5)
    for _ in range(30):
        content = bytearray(whole)
        content[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        segment.write_bytes(content)
        with pytest.raises(RecordingError, match=r"store-000000|can't be read"):
            Journal(damaged)
    segment.write_bytes(whole)
    assert Journal(damaged).exchanges == Journal(recorded).exchanges


def test_another_course_of_the_body_is_named(recorded: Path) -> None:
    journal = Journal(recorded)
    journal._recorded["brain_input"] = journal._recorded["brain_input"].copy()
    journal._recorded["brain_input"][7, 3] += 1e-6
    frames: list[Frame] = []

    with pytest.raises(ReplayError, match=r"exchange 8 \(80 ms\): brain_input/muscle_length/.*physics"):
        run_plan(
            journal.resumption(recorded.with_name("other-body"), ()),
            on_frame=lambda frame, _: frames.append(frame),
            record=journal,
        )
    assert len(frames) == 7


def test_a_run_of_an_altered_brain_repeats_itself(tmp_path: Path) -> None:
    altered = Alterations(silence=("S1",), disconnect=("M1:BG",))
    run_plan(RunPlan(out=tmp_path / "run", brain="tiny", trials=1, threads=1, alterations=altered))
    assert Journal(tmp_path / "run").plan.alterations == altered
    assert replay(tmp_path / "run") > 0


def test_a_run_on_a_server_can_not_be_repeated(recorded: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(recorded, tmp_path / "run"))
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["plan"] |= {"connect": "somewhere:1234", "credentials": "folder"}
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RecordingError, match="server somewhere:1234"):
        replay(run)


def test_what_is_no_session_can_not_be_repeated(tmp_path: Path) -> None:
    from robobrain.recording import create

    writer = create(tmp_path / "run", {})
    with pytest.raises(RecordingError, match="still being written"):
        replay(tmp_path / "run")
    writer.close()
    with pytest.raises(RecordingError, match="no session"):
        replay(tmp_path / "run")


def test_a_killed_run_is_resumed_and_equals_the_undisturbed_one(recorded: Path, tmp_path: Path) -> None:
    lost, resumed = tmp_path / "lost", tmp_path / "resumed"
    program = f"""
import os
from pathlib import Path
from robobrain.recording import open
from robobrain.tasks.joystick.runner import RunPlan, run_plan
def stop(frame, summary):
    if frame.seq >= 130 and open(Path({str(lost)!r})).commits > 0:
        os.kill(os.getpid(), 9)
run_plan(RunPlan(out=Path({str(lost)!r}), brain="tiny", trials={TRIALS}, threads=1), on_frame=stop)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    assert check(lost) == []
    done = Journal(lost).exchanges
    whole = Journal(recorded).exchanges
    assert 0 < done < whole
    said = subprocess.run(
        [ROBOBRAIN, "run", "--resume", str(lost), "--out", str(resumed)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert f"the {done} exchanges" in said
    assert_equal_runs(recorded, resumed)
    assert open_run(resumed).manifest["resumes"]["exchanges"] == done
    assert replay(resumed) == whole


@pytest.mark.timeout(60 + 60 * TAKEOVERS)
def test_kills_at_random_moments_cost_no_step(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(3)
    whole = Journal(recorded).exchanges
    moments = sorted(rng.sample(range(1, whole - 20), TAKEOVERS))
    brains: list[FailoverBrain] = []
    killers: dict[int, subprocess.Popen[bytes]] = {}
    begin = FailoverBrain.__init__

    def remember(self: FailoverBrain, *arguments: Any, **options: Any) -> None:
        brains.append(self)
        begin(self, *arguments, **options)

    monkeypatch.setattr(FailoverBrain, "__init__", remember)

    def kill(frame: Frame, _: object) -> None:
        """Kill the kernel a random time after each moment, or after the exchange that replaces the last."""
        victim = brains[0].kernel_pid
        if frame.seq == whole - 5 and killers:
            [*killers.values()][-1].wait(60)
        if moments and frame.seq >= moments[0] and victim not in killers:
            moments.pop(0)
            if killers:
                [*killers.values()][-1].wait(60)
            whom = rng.choice((str(victim), f"-{victim}"))  # the kernel, or its episode and instants too
            command = f"sleep {rng.uniform(0.0, 0.01)}; kill -9 {whom}"
            killers[victim] = subprocess.Popen(["sh", "-c", command])

    out = tmp_path / "run"
    plan = RunPlan(out=out, brain="tiny", trials=TRIALS, threads=1, spares=1, on_fault="failover")
    result = run_plan(plan, on_frame=kill)
    assert not moments
    assert result.takeovers == len(killers) == TAKEOVERS
    assert_equal_runs(recorded, out)


@pytest.mark.parametrize("on_fault", ["suspend", "truncate"])
def test_without_a_spare_the_run_ends_and_can_be_resumed(
    recorded: Path, tmp_path: Path, on_fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from robobrain.bridge.link import LocalBrain

    step = LocalBrain.step

    def step_until_lost(self: LocalBrain, inputs: Any) -> Any:
        if self._seq == 120:
            os.killpg(self.kernel_pid, signal.SIGKILL)
        return step(self, inputs)

    plan = RunPlan(out=tmp_path / "run", brain="tiny", trials=TRIALS, threads=1, on_fault=on_fault)
    with monkeypatch.context() as patch:
        patch.setattr(LocalBrain, "step", step_until_lost)
        if on_fault == "suspend":
            with pytest.raises(BrainFault, match=f"--resume {plan.out}"):
                run_plan(plan)
        else:
            result = run_plan(plan)
            assert result.summary.status == open_run(plan.out).status == "failed"
            assert "process ended" in result.fault
            assert (plan.out / "figures" / "session.png").exists()
        assert "process ended (signal 9)" in open_run(plan.out).manifest["error"]
    journal = Journal(plan.out)
    assert journal.exchanges == 120
    run_plan(journal.resumption(tmp_path / "resumed", ()), record=journal)
    assert_equal_runs(recorded, tmp_path / "resumed")


@pytest.mark.parametrize(
    "values",
    [{"on_fault": "hope"}, {"spares": -1}, {"spares": 1}, {"on_fault": "failover", "connect": "h:1"}],
)
def test_plans_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"on_fault|spares"):
        RunPlan(out=Path("x"), **values)


def test_the_command_says_whether_a_run_repeats(recorded: Path, tmp_path: Path) -> None:
    good = subprocess.run([ROBOBRAIN, "replay", str(recorded)], capture_output=True, text=True, check=False)
    assert (good.returncode, "bit for bit equal" in good.stdout) == (0, True)
    bad = subprocess.run([ROBOBRAIN, "replay", str(tmp_path)], capture_output=True, text=True, check=False)
    assert (bad.returncode, "no run directory" in bad.stderr) == (1, True)
