"""Exports, read back by the field's own libraries and compared with the store."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from made_up_runs import made_up_populations, make_run
from typer.testing import CliRunner

from robobrain import recording
from robobrain.cli.app import app
from robobrain.errors import RecordingError
from robobrain.recording import export as exports
from robobrain.recording.export import Neurons, choose_neurons, export


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> recording.Run:
    return make_run(tmp_path_factory.mktemp("runs") / "run", trials=6, seconds=16)


@pytest.fixture(scope="module")
def nwb_file(run: recording.Run) -> Path:
    return export(run, "nwb")


def trains(run: recording.Run) -> dict[int, np.ndarray]:
    t_ms, sender = run.spikes()
    return {int(i): t_ms[sender == i] for i in np.unique(sender)}


def test_nwb_holds_the_spikes_and_trials_of_the_store(run: recording.Run, nwb_file: Path) -> None:
    pynwb = pytest.importorskip("pynwb")
    assert nwb_file == run.path.with_name("run.nwb")
    with pynwb.NWBHDF5IO(str(nwb_file), "r") as io:
        nwb = io.read()
        assert nwb.identifier == run.manifest["run_id"]
        units = nwb.units
        expected = trains(run)
        assert list(units.id[:]) == list(expected)
        for index, (neuron, t_ms) in enumerate(expected.items()):
            np.testing.assert_array_equal(units.get_unit_spike_times(index), t_ms / 1e3)
            home = next(p for p in run.populations.values() if p.first_id <= neuron < p.first_id + p.size)
            assert (units["population"][index], units["region"][index]) == (home.name, home.region)
        table = nwb.trials.to_dataframe()
        trials = run.trials
        np.testing.assert_array_equal(table["start_time"], [t["begin_ms"] / 1e3 for t in trials])
        np.testing.assert_array_equal(table["stop_time"], [t["end_ms"] / 1e3 for t in trials])
        onset = [np.nan if t["start_ms"] is None else t["start_ms"] / 1e3 for t in trials]
        np.testing.assert_array_equal(table["movement_onset_time"], onset)
        assert list(table["outcome"]) == [t["outcome"] for t in trials]
        assert list(table["reward"]) == [t["outcome"] == "rewarded" for t in trials]


def test_nwb_holds_the_signals_with_their_units(run: recording.Run, nwb_file: Path) -> None:
    pynwb = pytest.importorskip("pynwb")
    with pynwb.NWBHDF5IO(str(nwb_file), "r") as io:
        nwb = io.read()
        joystick = nwb.processing["behavior"]["joystick_mm"]
        t_ms, values = run.array("joystick_mm")
        np.testing.assert_array_equal(joystick.data[:], values)
        assert (joystick.unit, joystick.conversion, joystick.rate) == ("meters", 1e-3, 1000.0)
        assert joystick.starting_time == t_ms[0] / 1e3
        assert "lateral, pull" in joystick.description
        rates = nwb.processing["ecephys"]["region_rate_hz"]
        assert (rates.unit, rates.rate) == ("hertz", 100.0)
        np.testing.assert_array_equal(rates.data[:], run.array("region_rate_hz")[1])
        potentials = nwb.processing["ecephys"]["V_m_M1_L5B_PT"]
        assert (potentials.unit, potentials.conversion, potentials.rate) == ("volts", 1e-3, 1000.0)
        t_ms, values = run.array("V_m_M1_L5B_PT")
        assert potentials.starting_time == t_ms[0] / 1e3
        np.testing.assert_array_equal(potentials.data[:], values)
        assert "700, 703" in potentials.description
        assert set(nwb.stimulus) == {"stimulation", "lateral_force_mN"}
        assert nwb.subject.species == "Mus musculus"
        assert "no animal" in nwb.subject.description


@pytest.mark.slow
def test_nwb_passes_the_inspector(nwb_file: Path) -> None:
    inspector = pytest.importorskip("nwbinspector")
    importance = inspector.Importance.BEST_PRACTICE_SUGGESTION
    messages = inspector.inspect_nwbfile(nwbfile_path=str(nwb_file), importance_threshold=importance)
    assert [f"{m.importance.name}: {m.check_function_name}: {m.message}" for m in messages] == []


def test_nwb_of_irregular_samples_events_and_nothing(tmp_path: Path) -> None:
    pynwb = pytest.importorskip("pynwb")
    with recording.create(tmp_path / "run", {}) as writer:
        writer.declare("licks", "1", ("lick",), dtype="int64")
        writer.append("licks", [1.0, 5.0, 7.0], [1, 1, 0])
        writer.declare("never", "mm", ("x",))
        writer.event(7.0, "reward", {"drops": 2})
    with pynwb.NWBHDF5IO(str(export(recording.open(tmp_path / "run"), "nwb")), "r") as io:
        nwb = io.read()
        licks = nwb.processing["behavior"]["licks"]
        assert licks.timestamps[:].tolist() == [0.001, 0.005, 0.007]
        events = nwb.events["task_events"].to_dataframe()
        assert events["timestamp"].tolist() == [0.007]
        assert events["annotation"].tolist() == ["reward"]
        assert nwb.units is None
        assert nwb.trials is None


@pytest.mark.parametrize("kind", ["nwb", "neo", "parquet", "sonata"])
def test_a_run_that_ended_before_its_first_exchange_is_exported(tmp_path: Path, kind: str) -> None:
    pytest.importorskip({"nwb": "pynwb", "neo": "neo", "parquet": "pyarrow", "sonata": "h5py"}[kind])
    with recording.create(tmp_path / "run", {"brain": {"populations": made_up_populations()[:4]}}):
        pass
    empty = recording.open(tmp_path / "run")
    assert empty.populations
    assert not len(empty.spikes()[0])
    assert export(empty, kind).exists()


@pytest.mark.parametrize("kind", ["parquet", "sonata"])
def test_an_export_that_fails_leaves_nothing_and_can_be_repeated(
    run: recording.Run, tmp_path: Path, kind: str
) -> None:
    pytest.importorskip({"parquet": "pyarrow", "sonata": "h5py"}[kind])
    recording.backup(run.path, tmp_path / "run")
    with sqlite3.connect(tmp_path / "run" / "store-000000.sqlite") as connection:
        connection.execute("ALTER TABLE spikes RENAME COLUMN senders TO lost")
    connection.close()
    for _ in range(2):
        with pytest.raises(RecordingError, match="can't be read: no such column"):
            export(recording.open(tmp_path / "run"), kind, tmp_path / "a" / "b" / "out")
        assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert export(run, kind, tmp_path / "a" / "b" / "out").exists()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["out"]


def test_an_export_on_a_disk_without_room_leaves_nothing(run: recording.Run, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "a").mkdir()
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from robobrain import recording\n"
        "from robobrain.recording.export import export\n"
        "run = recording.open(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))\n"
        "export(run, 'parquet', Path(sys.argv[2]))"
    )
    words = [sys.executable, "-B", "-c", code, str(run.path), str(tmp_path / "a" / "b" / "out")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "RecordingError: Can't write" in done.stderr
    assert "File too large" in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["a"]


@pytest.mark.parametrize("looked", [True, False])
@pytest.mark.parametrize("kind", ["parquet", "sonata"])
def test_an_export_beside_another_to_the_same_place_leaves_that_alone(
    run: recording.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, looked: bool
) -> None:
    pytest.importorskip({"parquet": "pyarrow", "sonata": "h5py"}[kind])
    module, writer = import_module(f"robobrain.recording.export.{kind}"), f"write_{kind}"
    target, write = tmp_path / "out", getattr(module, writer)
    first: dict[Path, bytes] = {}

    def overtaken(of: recording.Run, made: Path, neurons: Neurons) -> None:
        write(of, made, neurons)
        monkeypatch.setattr(module, writer, write)
        export(run, kind, target, "2")
        first.update((path, path.read_bytes()) for path in [target, *target.rglob("*")] if path.is_file())
        if not looked:
            monkeypatch.setattr(exports, "_refuse_existing", lambda _: None)

    monkeypatch.setattr(module, writer, overtaken)
    with pytest.raises(
        RecordingError, match="out exists; an export never" if looked else "Can't write .*out"
    ):
        export(run, kind, target, "1")
    assert first
    assert {path: path.read_bytes() for path in first} == first
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_stream_takes_no_other_tables_place_whatever_it_is_called(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    odd = ["trials", "trials-stream", "events", "spikes", "streams", "../out", "..%2Fout", "..", "%"]
    long = ["n" * 247, "n" * 248, "n" * 300 + "a", "n" * 300 + "b", "\u3042" * 100, "/" * 200, "0\0"]
    names = odd + long
    with recording.create(tmp_path / "run", {}) as writer:
        writer.event(1.0, "cue")
        writer.trial({"begin_ms": 0.0})
        for value, name in enumerate(names):
            writer.declare(name, "mm", ("x",))
            writer.append(name, [1.0], [float(value)])
    folder = export(recording.open(tmp_path / "run"), "parquet")
    assert {path.name for path in folder.iterdir()} == {"events.parquet", "trials.parquet", "streams"}
    assert parquet.read_table(folder / "trials.parquet").to_pylist() == [{"begin_ms": 0.0}]
    written = [parquet.read_table(path) for path in (folder / "streams").iterdir()]
    values = {table.schema.metadata[b"stream"].decode(): table["x"].to_pylist() for table in written}
    assert values == {name: [float(value)] for value, name in enumerate(names)}
    assert len(written) == len(names)
    assert parquet.read_table(folder / "streams" / "..%2Fout.parquet")["x"].to_pylist() == [5.0]
    assert {path.name for path in tmp_path.iterdir()} == {"run", "run-parquet"}


def test_neo_block_is_what_elephant_takes(run: recording.Run, tmp_path: Path) -> None:
    neo = pytest.importorskip("neo")
    reader = neo.NixIO(str(export(run, "neo", tmp_path / "run.nix", "2")), "ro")
    block = reader.read_block()
    reader.close()
    segment = block.segments[0]
    expected = trains(run)
    assert len(segment.spiketrains) == 2 * len(run.populations)
    for train in segment.spiketrains:
        t_ms = expected.get(int(train.annotations["neuron"]), np.empty(0))
        np.testing.assert_array_equal(train.rescale("ms").magnitude, t_ms)
        assert train.annotations["population"].startswith(train.annotations["region"])
    pull = next(signal for signal in segment.analogsignals if signal.name == "joystick_mm")
    np.testing.assert_array_equal(pull.magnitude, run.array("joystick_mm")[1])
    assert str(pull.units.dimensionality) == "mm"
    assert float(pull.sampling_rate.rescale("Hz")) == pytest.approx(1000.0)
    assert list(segment.epochs[0].labels) == [trial["outcome"] for trial in run.trials]


def test_parquet_tables_are_those_of_the_store(run: recording.Run, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = export(run, "parquet", tmp_path / "tables", "M1,BG_GPi")
    spikes = parquet.read_table(folder / "spikes.parquet")
    t_ms, sender = run.spikes()
    chosen = [p for p in run.populations.values() if p.region == "M1" or p.name == "BG_GPi"]
    ids = np.concatenate([np.arange(p.first_id, p.first_id + p.size) for p in chosen])
    np.testing.assert_array_equal(spikes["t_ms"], t_ms[np.isin(sender, ids)])
    np.testing.assert_array_equal(spikes["neuron"], sender[np.isin(sender, ids)])
    assert set(spikes["region"].to_pylist()) == {"M1", "BG"}
    joystick = parquet.read_table(folder / "streams" / "joystick_mm.parquet")
    assert joystick.column_names == ["t_ms", "lateral", "pull"]
    np.testing.assert_array_equal(joystick["pull"], run.array("joystick_mm")[1][:, 1])
    assert joystick.schema.metadata[b"unit"] == b"mm"
    assert parquet.read_table(folder / "trials.parquet").to_pylist() == run.trials


def test_sonata_spikes_follow_the_format(run: recording.Run, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(export(run, "sonata", tmp_path / "spikes.h5"), "r") as file:
        assert file.attrs["magic"] == 0x0A7A
        assert set(file["spikes"]) == set(run.populations)
        total = 0
        for name, population in run.populations.items():
            group = file[f"spikes/{name}"]
            t_ms, sender = run.spikes(name)
            np.testing.assert_array_equal(group["timestamps"][:], t_ms)
            np.testing.assert_array_equal(group["node_ids"][:] + population.first_id, sender)
            assert group["timestamps"].attrs["units"] == "ms"
            assert h5py.check_enum_dtype(group.attrs.get_id("sorting").dtype)["by_time"] == 2
            total += len(t_ms)
        assert total == run.spike_count


def test_neurons_are_chosen_by_number_population_and_region(run: recording.Run) -> None:
    everything = choose_neurons(run, "all")
    assert everything.count == sum(p.size for p in run.populations.values())
    assert choose_neurons(run, "none").count == 0
    few = choose_neurons(run, "3")
    assert {len(ids) for ids in few.ids.values()} == {3}
    assert all((np.diff(ids.astype(int)) > 0).all() for ids in few.ids.values())
    again = choose_neurons(run, "3")
    assert all(np.array_equal(few.ids[name], again.ids[name]) for name in few.ids)
    assert list(choose_neurons(run, "VM, BG_STN").ids)[-1] == "BG_STN"
    with pytest.raises(RecordingError, match="no population or region V9"):
        choose_neurons(run, "V9,M1")


def test_export_refuses_and_explains(run: recording.Run, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"No format 'mat'\. There are: nwb, neo"):
        export(run, "mat")
    with pytest.raises(RecordingError, match="exists; an export never overwrites"):
        export(run, "nwb", tmp_path)
    with pytest.raises(RecordingError, match=r"Can't write .*too long"):
        export(run, "sonata", tmp_path / ("x" * 300))
    code = (
        "import sys; sys.modules['h5py'] = None\n"
        "from pathlib import Path\n"
        "from robobrain import recording\n"
        "from robobrain.recording.export import export\n"
        "export(recording.open(sys.argv[1]), 'sonata', Path(sys.argv[2]))"
    )
    words = [sys.executable, "-c", code, str(run.path), str(tmp_path / "x.h5")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "needs h5py. Fix: pip install 'robobrain[analysis]'." in done.stderr


def test_export_command(run: recording.Run, tmp_path: Path) -> None:
    words = ["export", str(run.path), "--format", "sonata", "--out", str(tmp_path / "x.h5"), "--neurons", "1"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "x.h5").exists()
