"""Open-loop experiments: protocols as files, and what a run of them records."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from robobrain import recording
from robobrain.brain.inspection import inspect
from robobrain.brain.interfaces import load_interfaces
from robobrain.brain.layout import planned_site
from robobrain.brain.scaling import scale
from robobrain.brain.tables import load_tables
from robobrain.bridge.messages import Description, Port
from robobrain.cli.app import app
from robobrain.errors import ConfigurationError
from robobrain.recording.figures.fields import peak_hz, spectrum
from robobrain.recording.figures.responses import mean_changes, played_spans
from robobrain.tasks.openloop import PROTOCOLS, OpenLoopPlan, load_protocol, run_open_loop
from robobrain.tasks.openloop.protocol import BLOCK, LONGEST_MS


def description() -> Description:
    ports = tuple(
        Port(name=s.name, unit=s.unit, channels=s.channels, low=s.low, high=s.high)
        for s in load_interfaces().sources
    )
    return Description(
        identity="x",
        brain="tiny",
        nest_version="3",
        ranks=1,
        threads=1,
        resolution_ms=0.5,
        exchange_ms=10.0,
        settle_ms=500.0,
        neurons=1,
        synapses=1,
        inputs=ports,
        outputs=(),
        populations=(),
        build_ms={},
    )


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("size", ["tiny", "small"])
def test_the_protocols_of_the_package_fit_every_brain(name: str, size: str) -> None:
    protocol = load_protocol(name)
    site = planned_site(scale(load_tables(), size), protocol.exchange_ms)
    assert all(row.neurons > 0 for row in inspect(protocol.devices, site))
    told = np.concatenate(list(protocol.inputs(description())))
    assert told.shape == (protocol.exchanges, description().input_size)
    assert (np.abs(told).max() > 0.0) == bool(protocol.tracks or protocol.playbacks)


def test_tracks_and_playbacks_give_what_they_say_in_their_exchange(tmp_path: Path) -> None:
    (tmp_path / "moves.csv").write_text("t_ms,touch/grip\n0,5\n20,7\n30,0\n", encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(
        """
description: mine
duration_ms: 200
tracks:
  - {port: stimulation, channels: [Foot2], equation: a*t, parameters: {a: 2}, start_ms: 50, stop_ms: 80}
playbacks: [{file: moves.csv, start_ms: [100, 150]}]
""",
        encoding="utf-8",
    )
    protocol = load_protocol(tmp_path / "mine.yaml")
    told = np.concatenate(list(protocol.inputs(description())))
    foot = description().input_slice("stimulation").start + 1
    np.testing.assert_allclose(told[4:9, foot], [0.0, 0.1, 0.12, 0.14, 0.0])
    grip = description().input_slice("touch").start
    np.testing.assert_allclose(told[9:20, grip], [0, 5, 5, 7, 0, 0, 5, 5, 7, 0, 0])
    assert protocol.events()[0] == (50.0, 80.0, "stimulation/Foot2")
    assert [event[2] for event in protocol.events()[1:]] == ["moves", "moves"]
    assert replace(protocol, duration_ms=110.0).events()[1:] == [(100.0, 110.0, "moves")]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("duration_ms: 100", "description: Field required"),
        ("{description: x, duration_ms: 105}", "multiple of exchange_ms"),
        ("{description: x, duration_ms: 100, seeds: []}", "seeds"),
        (
            f"{{description: x, duration_ms: 100, seeds: [1, {2**64}]}}",
            "seeds must be .* to 18446744073709551615",
        ),
        ("{description: x, duration_ms: 100, record_spikes: -1}", "record_spikes = -1"),
        ("{description: x, duration_ms: 100, folder: /etc}", "row folder: .*leave it out"),
        ("{description: x, duration_ms: 100, brian: tiny}", "brian"),
        ("{description: x, duration_ms: 100, devices: {fields: 3}}", "row fields: not a list"),
        (
            "{description: x, duration_ms: 100, tracks: [{port: touch, equation: t.real}]}",
            "is not arithmetic",
        ),
        (
            "{description: x, duration_ms: 100, tracks: [{port: a, equation: t, start_ms: 5, stop_ms: 5}]}",
            "start",
        ),
        ("- a", "not a mapping"),
        ("a: [", "not readable as YAML"),
    ],
)
def test_a_protocol_that_can_not_be_used_is_refused_with_its_place(
    tmp_path: Path, text: str, match: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"(?s)mine.yaml.*{match}"):
        load_protocol(file)


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ("tracks: [{port: nose, equation: t}]", "no input 'nose'"),
        ("tracks: [{port: touch, channels: [tail], equation: t}]", "no channel 'tail'"),
        ("tracks: [{port: touch, equation: 1/t}]", "track touch: '1/t' has no value .* at 0 ms"),
        ("tracks: [{port: touch, equation: 10**(t*1e3)}]", "has no value .* at 40 ms"),
        ("playbacks: [{file: missing.csv}]", "missing.csv.*no such file"),
        ("playbacks: [{file: /dev/zero}]", "zero, row 1: there is no such file"),
        ("playbacks: [{file: bad.csv}]", "bad.csv, row 2: t_ms does not rise from 0.*give t_ms rising"),
        ("playbacks: [{file: back.csv}]", "back.csv, row 4: t_ms does not rise"),
        (
            "playbacks: [{file: ragged.csv}]",
            "ragged.csv, row 4: 3 values for 2 columns. Fix: give one number for each",
        ),
        ("playbacks: [{file: word.csv}]", "word.csv, row 4: 'grip' is no number"),
        ("playbacks: [{file: latin.csv}]", "latin.csv, row 3: not text in UTF-8. Fix: save"),
        ("playbacks: [{file: quote.csv}]", "quote.csv, row 3: not readable as CSV: field larger"),
        (
            "playbacks: [{file: nan.csv}]",
            "nan.csv, row 3: touch/grip has no value that a brain can be told, nan. Fix: keep it finite",
        ),
        (
            "playbacks: [{file: large.csv}]",
            r"large.csv, row 4: touch/grip has no value that a brain can be told, -1e\+31. Fix: .*within",
        ),
        ("playbacks: [{file: twice.csv}]", "twice.csv, row 1: .*each column once"),
        ("playbacks: [{file: empty.csv}]", "empty.csv, row 1: .*t_ms"),
    ],
)
def test_inputs_that_do_not_fit_the_brain_are_named(tmp_path: Path, entry: str, match: str) -> None:
    for name, text in {
        "bad": "t_ms,touch/grip\n5,1\n",
        "back": "t_ms,touch/grip\n0,1\n5,1\n3,1\n",
        "ragged": "t_ms,touch/grip\n0,1\n\n5,1,7\n",
        "word": "t_ms,touch/grip\n\n0,1\n5,grip\n",
        "quote": f't_ms,touch/grip\n0,1\n5,"{"1" * 200_000}"\n',
        "nan": "t_ms,touch/grip\n0,1\n5,nan\n",
        "large": "t_ms,touch/grip\n0,1\n5,1e30\n9,-1e31\n",
        "twice": "t_ms,touch/grip,touch/grip\n0,1,1\n",
        "empty": "",
    }.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    (tmp_path / "latin.csv").write_bytes(b"t_ms,touch/grip\n0,1\n5,\xb51\n")
    file = tmp_path / "mine.yaml"
    file.write_text(f"description: x\nduration_ms: 100\n{entry}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"(?s){match}"):
        list(load_protocol(file).inputs(description()))


def test_empty_lines_of_a_table_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "moves.csv").write_text("t_ms,touch/grip\r\n0,5\r\n\r\n,\n20,7\n \n\n", encoding="utf-8-sig")
    (tmp_path / "mine.yaml").write_text(
        "description: x\nduration_ms: 100\nplaybacks: [{file: moves.csv}]\n", encoding="utf-8"
    )
    ((t_ms, columns, values),) = load_protocol(tmp_path / "mine.yaml").read_playbacks()
    assert (t_ms.tolist(), columns, values.tolist()) == ([0.0, 20.0], ["touch/grip"], [[5.0], [7.0]])


def test_a_long_episode_is_told_what_a_short_one_is_in_little_memory(tmp_path: Path) -> None:
    (tmp_path / "moves.csv").write_text("t_ms,touch/grip\n0,5\n20,7\n30,0\n", encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(
        f"""
description: a day of two playbacks, the second across the edge of two blocks
duration_ms: {LONGEST_MS}
tracks: [{{port: stimulation, equation: t, start_ms: 9980}}]
playbacks: [{{file: moves.csv, start_ms: [100, 9980]}}]
""",
        encoding="utf-8",
    )
    day = load_protocol(tmp_path / "mine.yaml")
    first, second, third = islice(day.inputs(description()), 3)
    short = replace(day, duration_ms=30.0 * BLOCK).inputs(description())
    np.testing.assert_array_equal(np.concatenate([first, second, third]), np.concatenate(list(short)))
    grip = description().input_slice("touch").start
    np.testing.assert_array_equal(first[-3:, grip], [0, 5, 5])
    np.testing.assert_array_equal(second[:3, grip], [7, 0, 0])
    foot = description().input_slice("stimulation").start
    np.testing.assert_allclose([first[-3, foot], first[-1, foot], second[1, foot]], [0.0, 9.99, 10.01])


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ("devices: {voltages: [{name: motor_rate_hz, targets: [{region: M1}], provenance: x}]}", "motor_r"),
        ("devices: {voltages: [{name: brain_input, targets: [{region: M1}], provenance: x}]}", "brain_i"),
        (
            "devices: {outputs: [{name: phase_time_ms, unit: Hz, description: d, channels: [M1], low: 0, "
            "high: 9, cells: {regions: [M1]}, decoder: {rate: {tau_rise_ms: 5, tau_decay_ms: 30}}, "
            "provenance: {assumed: x}}]}",
            "records phase_time_ms already; rename",
        ),
        ("playbacks: [{file: missing.csv}]", "missing.csv, row 1: there is no such file"),
    ],
)
def test_what_the_protocol_alone_tells_is_refused_before_the_build(
    tmp_path: Path, entry: str, match: str
) -> None:
    (tmp_path / "mine.yaml").write_text(
        f"description: x\nduration_ms: 100\nbrain: tiny\n{entry}\n", encoding="utf-8"
    )
    built: list[str] = []
    plan = OpenLoopPlan(protocol=load_protocol(tmp_path / "mine.yaml"), out=tmp_path / "run", threads=1)
    with pytest.raises(ConfigurationError, match=match):
        run_open_loop(plan, on_build=lambda phase, _: built.append(phase))
    assert not built
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("devices", "match"),
    [
        (
            "fields: [{name: f, signal: lfp, groups: {a: [{region: BG}]}, provenance: x}]",
            "do not tell I_syn_ex",
        ),
        (
            "inputs: [{name: i, unit: '1', description: d, channels: [a], low: 0, high: 1, provenance: "
            "{assumed: x}, encoder: {spikes: {gain_per_unit: 1, max_spikes: 21}}, "
            "targets: [{region: M1, weight_nS: 1}]}]",
            "max_spikes = 21",
        ),
    ],
)
def test_what_only_a_built_brain_can_refuse_leaves_no_run(tmp_path: Path, devices: str, match: str) -> None:
    (tmp_path / "mine.yaml").write_text(
        f"description: x\nduration_ms: 100\nbrain: tiny\ndevices:\n  {devices}\n", encoding="utf-8"
    )
    protocol = load_protocol(tmp_path / "mine.yaml")
    with pytest.raises(ConfigurationError, match=match):
        run_open_loop(OpenLoopPlan(protocol=protocol, out=tmp_path / "run", threads=1))
    assert not (tmp_path / "run").exists()


def test_a_history_without_a_sample_so_far_is_an_empty_stream(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "description: x\nduration_ms: 100\nbrain: tiny\nrecord_spikes: false\ndevices:\n  voltages:\n"
        "    - {name: v, targets: [{population: M1_L5B_PT}], interval_ms: 500, provenance: x}\n",
        encoding="utf-8",
    )
    protocol = load_protocol(tmp_path / "mine.yaml")
    result = run_open_loop(OpenLoopPlan(protocol=protocol, out=tmp_path / "run", threads=1))
    run = recording.open(tmp_path / "run")
    t_ms, values = run.array("v")
    assert result.status == "complete"
    assert (len(t_ms), values.shape) == (0, (0, len(run.streams["v"].columns)))


@pytest.mark.parametrize("duration", ["inf", "nan", "1e12", "1e300", "86400010", "-10", "0"])
def test_a_length_that_can_not_be_played_is_refused_before_the_build(tmp_path: Path, duration: str) -> None:
    arguments = ["brain", "run", "rest_theta", f"--duration-ms={duration}", "--out", str(tmp_path / "run")]
    shown = CliRunner().invoke(app, arguments)
    assert isinstance(shown.exception, ConfigurationError)
    assert "duration_ms = " in str(shown.exception)
    assert not list(tmp_path.iterdir())


def test_a_directory_is_no_protocol(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is a directory"):
        load_protocol(tmp_path)


def test_an_unknown_protocol_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="rest_theta, tuning_m1, passive_s1"):
        load_protocol("nothing")


def test_the_spectrum_of_a_sine_is_a_line_with_its_power() -> None:
    t_ms = np.arange(0.0, 10_000.0, 2.0)
    values = 3.0 * np.sin(2 * np.pi * 8.0 * t_ms / 1e3) + 100.0
    frequency_hz, power = spectrum(t_ms, values, 2.0)
    assert peak_hz(frequency_hz, power) == 8.0
    assert power.sum() * frequency_hz[1] == pytest.approx(3.0**2 / 2, rel=1e-3)


@pytest.mark.slow
def test_a_run_records_outputs_histories_spikes_and_episodes(tmp_path: Path) -> None:
    protocol = replace(load_protocol("rest_theta"), brain="tiny", duration_ms=300.0, seeds=(4, 5, 4))
    result = run_open_loop(OpenLoopPlan(protocol=protocol, out=tmp_path / "run", name="rest_theta"))
    run = recording.open(tmp_path / "run")
    assert run.status == result.status == "complete"
    assert not recording.check(tmp_path / "run")
    t_ms, rates = run.array("region_rate_hz")
    np.testing.assert_allclose(t_ms, 10.0 * np.arange(1, 91))
    assert (rates > 0).any()
    field_ms, lfp = run.array("lfp")
    first, second, third = (lfp[(field_ms > a) & (field_ms <= a + 300.0)] for a in (0.0, 300.0, 600.0))
    assert len(first) in (146, 147)
    np.testing.assert_array_equal(first, third)
    assert not np.array_equal(first, second)
    assert [trial["seed"] for trial in run.trials] == [4, 5, 4]
    assert run.manifest["experiment"]["devices"]["rhythms"][0]["frequency_hz"] == 8.0
    assert {file.name for file in result.files} >= {"session.png", "fields.png"}


@pytest.mark.slow
def test_stimulating_a_column_of_m1_raises_its_own_output_most(tmp_path: Path) -> None:
    arguments = [
        "brain",
        "run",
        "tuning_m1",
        "--brain",
        "tiny",
        "--seed",
        "1",
        "--out",
        str(tmp_path / "run"),
    ]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    run = recording.open(tmp_path / "run")
    played = played_spans(run)
    trace = run.array("motor_rate_hz")
    changes = mean_changes((trace[0], trace[1].astype(float)), played)
    assert list(played) == list(run.streams["motor_rate_hz"].columns)
    assert (changes.argmax(axis=1) == np.arange(8)).all()


def test_devices_are_listed_with_their_costs(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["brain", "devices", "tiny"])
    assert shown.exit_code == 0, shown.output
    assert "stimulation" in shown.output
    file = tmp_path / "more.yaml"
    file.write_text(
        "rhythms: [{name: theta, frequency_hz: 8, amplitude: 1, provenance: {assumed: test}}]",
        encoding="utf-8",
    )
    shown = CliRunner().invoke(app, ["brain", "devices", "tiny", "--add", str(file)])
    assert "theta" in shown.output
    file.write_text("silenced: [{name: a, targets: [{population: nowhere}]}]", encoding="utf-8")
    refused = CliRunner().invoke(app, ["brain", "devices", "tiny", "--add", str(file)])
    assert "no population 'nowhere'" in str(refused.exception)
