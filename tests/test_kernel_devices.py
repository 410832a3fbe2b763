"""Devices added to and removed from a whole brain between episodes, through its pipe."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from robobrain.brain.config import local_brain
from robobrain.brain.devices import Devices, to_text
from robobrain.brain.histories import FieldOutputMonitor, FieldSignal, VoltageMonitor
from robobrain.brain.interfaces import load_devices
from robobrain.brain.monitors import CountDecoder, DirectOutputMonitor, SpikeTimesDecoder
from robobrain.brain.selectors import Selector
from robobrain.brain.signals import (
    DirectEquationSource,
    GaussianNoise,
    GlobalSource,
    Silence,
    UniformRegionSource,
    Unit,
)
from robobrain.brain.sources import DirectInputSource, InputTarget, SpikesEncoder
from robobrain.bridge import LocalBrain, Readings
from robobrain.errors import BrainFault, ConfigurationError, TableError

pytestmark = pytest.mark.slow

M1 = (Selector(population="M1_L23_CC"),)
NOWHERE = (Selector(population="nowhere"),)
PLAIN = {"provenance": "assumed: test"}
LISTENERS = Devices(
    fields=(FieldOutputMonitor(name="lfp", signal=FieldSignal.LFP, groups={"M1": M1}, **PLAIN),),
    voltages=(VoltageMonitor(name="v", targets=(Selector(region="M1", layer="L5B"),), **PLAIN),),
    outputs=(
        DirectOutputMonitor(
            name="count", unit="1", low=0, high=9, channels={"M1": M1}, decoder=CountDecoder(), **PLAIN
        ),
        DirectOutputMonitor(
            name="spikes", unit="1", low=0, high=1, channels={"M1": M1}, decoder=SpikeTimesDecoder(), **PLAIN
        ),
    ),
)
ACTORS = Devices(
    equations=(
        DirectEquationSource(
            name="drive", equation="50", unit=Unit.RATE, targets=M1, low=0, high=99, weight_nS=30.0, **PLAIN
        ),
    ),
    noises=(
        UniformRegionSource(
            name="noise",
            targets=(Selector(region="S1", layer="L5B"),),
            noise=GaussianNoise(mean=0.0, deviation=2.0, unit=Unit.POTENTIAL),
            **PLAIN,
        ),
    ),
    rhythms=(GlobalSource(name="theta", frequency_hz=8.0, amplitude=1.0, **PLAIN),),
    silenced=(Silence(name="lesion", targets=(Selector(population="M1_L5B_PT"),)),),
    inputs=(
        DirectInputSource(
            name="kick",
            unit="1",
            channels=("a",),
            low=0.0,
            high=5.0,
            encoder=SpikesEncoder(gain_per_unit=1.0, max_spikes=5),
            targets=(InputTarget(channel="a", selector=M1[0], weight_nS=500.0),),
            **PLAIN,
        ),
    ),
)


@pytest.fixture(scope="module", params=[1, 2], ids=["1 thread", "2 threads"])
def brain(request: pytest.FixtureRequest) -> Iterator[LocalBrain]:
    with local_brain("tiny", threads=request.param, record_spikes=True) as link:
        yield link


def episode(brain: LocalBrain, seed: int = 5, steps: int = 15, added: float = 0.0) -> list[Readings]:
    readings = [brain.reset(seed)]
    inputs = np.zeros(brain.description.input_size)
    wired = inputs.size - sum(port.size for port in brain.description.inputs if port.name == "kick")
    for step in range(steps):
        inputs[:wired], inputs[wired:] = 0.3 * (step % 3), added
        readings.append(brain.step(inputs))
    return [*readings, brain.collect_all()]


def spikes(readings: list[Readings]) -> tuple[np.ndarray, np.ndarray]:
    chunks = [one.spikes for one in readings if one.spikes is not None]
    return np.concatenate([one.t_ms for one in chunks]), np.concatenate([one.sender for one in chunks])


def digest(readings: list[Readings]) -> str:
    return hashlib.sha256(b"".join(part.tobytes() for part in spikes(readings))).hexdigest()


def test_episodes_are_the_same_before_with_and_after_listeners(brain: LocalBrain) -> None:
    brain.configure("")
    plain = digest(episode(brain))
    brain.configure(to_text(LISTENERS))
    listened = episode(brain)
    assert digest(listened) == plain
    brain.configure(to_text(ACTORS))
    acted = digest(episode(brain, added=3.0))
    assert acted != plain
    assert digest(episode(brain, added=3.0)) == acted
    brain.configure("")
    assert digest(episode(brain)) == plain
    assert brain.description.histories == ()


def test_listeners_agree_with_the_recording_of_all_spikes(brain: LocalBrain) -> None:
    description = brain.configure(to_text(LISTENERS))
    readings = episode(brain, steps=30)
    t_ms, sender = spikes(readings)
    (where,) = (p for p in description.populations if p.name == "M1_L23_CC")
    mine = (sender >= where.first_id) & (sender < where.first_id + where.size)
    samples = [one for step in readings for one in step.samples if one.monitor == "spikes"]
    np.testing.assert_array_equal(np.concatenate([one.t_ms for one in samples]), t_ms[mine])
    np.testing.assert_array_equal(np.concatenate([one.values[:, 0] for one in samples]), sender[mine])

    counted = [one.outputs[description.output_slice("count")][0] for one in readings[1:-1]]
    arrived = np.histogram(t_ms[mine] + 1.0, np.arange(len(counted) + 1) * 10.0 + 1e-6)[0]
    np.testing.assert_array_equal(counted[1:], arrived[1:])  # the first: also what was on its way at 0 ms

    lfp = np.concatenate([one.t_ms for step in readings for one in step.samples if one.monitor == "lfp"])
    np.testing.assert_array_equal(lfp, np.arange(7.0, lfp[-1] + 1.0))
    columns = {history.name: history.columns for history in description.histories}
    assert columns["lfp"] == ("M1",)
    v = next(one for step in readings for one in step.samples if one.monitor == "v")
    assert v.values.shape[1] == len(columns["v"]) > 30


def test_actors_act_and_the_silenced_are_silent(brain: LocalBrain) -> None:
    description = brain.configure(to_text(ACTORS))
    assert description.inputs[-1].name == "kick"
    _, sender = spikes(episode(brain, added=5.0))
    sizes = {p.name: (p.first_id, p.first_id + p.size) for p in description.populations}
    counts = {name: int(((sender >= a) & (sender < b)).sum()) / (b - a) for name, (a, b) in sizes.items()}
    assert counts["M1_L5B_PT"] == 0
    assert counts["M1_L23_CC"] / 0.15 > 30.0


def test_refused_devices_leave_the_earlier_ones(brain: LocalBrain) -> None:
    before = brain.configure(to_text(LISTENERS))
    missing = Devices(silenced=(Silence(name="s", targets=(Selector(population="nowhere"),)),))
    taken = DirectOutputMonitor(
        name="motor", unit="1", low=0, high=9, channels={"M1": M1}, decoder=CountDecoder(), **PLAIN
    )
    for text, match in (
        (to_text(missing), "no population 'nowhere'"),
        (to_text(Devices(outputs=(taken,))), "already has motor"),
        ("{not json", "devices: .*JSON"),
        ('{"inputs": 3}', "devices: inputs"),
        ('{"surprise": []}', "devices: surprise"),
    ):
        with pytest.raises(ConfigurationError, match=match):
            brain.configure(text)
    assert brain.description == before
    assert brain.reset(1).outputs.size == before.output_size


def test_instants_continue_with_their_devices_and_go_with_them(brain: LocalBrain) -> None:
    brain.configure(to_text(dataclasses.replace(ACTORS, fields=LISTENERS.fields)))
    brain.reset(5)
    inputs = np.full(brain.description.input_size, 0.5)
    for _ in range(3):
        brain.step(inputs)
    instant = brain.snapshot()

    def rest() -> list[Readings]:
        return [*(brain.step(inputs) for _ in range(30)), brain.collect_all()]

    expected = rest()
    brain.restore(instant)
    again = rest()
    assert digest(again) == digest(expected)
    assert all(np.array_equal(a.outputs, b.outputs) for a, b in zip(again, expected, strict=True))
    for one, other in zip(again, expected, strict=True):
        for mine, theirs in zip(one.samples, other.samples, strict=True):
            assert np.array_equal(mine.values, theirs.values)
    with pytest.raises(ConfigurationError, match="nowhere"):
        brain.configure(
            to_text(Devices(silenced=(Silence(name="s", targets=(Selector(population="nowhere"),)),)))
        )
    assert [held.id for held in brain.snapshots()] == [instant]
    brain.configure(to_text(Devices(silenced=ACTORS.silenced, inputs=ACTORS.inputs)))
    assert brain.snapshots() == ()
    with pytest.raises(ConfigurationError, match="no snapshot"):
        brain.restore(instant)
    brain.reset(5)
    brain.step(inputs)


def test_a_step_after_configuring_needs_a_reset(brain: LocalBrain) -> None:
    brain.reset(1)
    brain.configure("")
    with pytest.raises(ConfigurationError, match="reset"):
        brain.step(np.zeros(brain.description.input_size))


def test_a_brain_without_devices_says_so() -> None:
    from robobrain.brain.kernel import kernel_command

    environment = {"PYTHONPATH": str(Path(__file__).parent)}
    command = kernel_command({"threads": 1}, model="kernel_models:BalancedNetwork")
    with LocalBrain(command, environment=environment) as brain:
        with pytest.raises(ConfigurationError, match="takes no devices"):
            brain.configure("")
        assert brain.reset(1).seq == 0


def test_a_wiring_file_may_hold_devices_too(tmp_path: Path) -> None:
    file = tmp_path / "wiring.yaml"
    file.write_text(WIRING, encoding="utf-8")
    devices = load_devices(file)
    assert devices.equations[0].provenance == "assumed: test"
    with local_brain("tiny", interfaces=file) as brain:
        assert [port.name for port in brain.description.inputs] == ["pressure"]
        assert [port.name for port in brain.description.outputs] == ["heading"]
        assert [history.name for history in brain.description.histories] == ["lfp", "who"]
        brain.reset(1)
        assert brain.step([1.0]).outputs.shape == (2,)
        assert {one.monitor for one in brain.collect_all().samples} == {"lfp", "who"}


def test_a_wrong_section_or_entry_is_named(tmp_path: Path) -> None:
    file = tmp_path / "wiring.yaml"
    entry = "name: a, targets: [{region: M1}], low: 0, high: 1, provenance: x"
    silence = "{name: a, targets: [{population: x}]}"
    for text, match in (
        ("rythms: []", "no section rythms"),
        ("rhythms: 3", "row rhythms: not a list"),
        ("rhythms: [{name: a}]", "row rhythms/a: frequency_hz: Field required"),
        (
            f"equations: [{{{entry}, equation: t.real, unit: pA}}]",
            "equations/a: .*Attribute is not",
        ),
        (f"equations: [{{{entry}, equation: t, unit: mA}}]", "row equations/a: unit"),
        ("silenced: [{name: a, targets: []}]", "row silenced/a: .*at least one selector"),
        (f"silenced: [{silence}, {silence}]", "used twice"),
        ("history_ms: soon", "row history_ms: 'soon' is no number of ms"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(TableError, match=match):
            load_devices(file)


def test_devices_given_at_the_start_that_do_not_fit_leave_no_process() -> None:
    missing = Devices(silenced=(Silence(name="s", targets=(Selector(population="nowhere"),)),))
    with pytest.raises((ConfigurationError, BrainFault), match="nowhere"):
        local_brain("tiny", devices=missing)


WIRING = """
inputs:
  - name: pressure
    unit: "1"
    description: a population code
    channels: [paw]
    low: -1.0
    high: 1.0
    encoder: {tuning: {peak_hz: 100.0, width: 0.5}}
    targets: [{population: M1_L23_CC, tuned: {first: -1.0, last: 1.0, groups: 3}, weight_nS: 5.0}]
    provenance: {assumed: test}
outputs:
  - name: heading
    unit: Hz
    description: a population vector
    channels: [east, north, west, south]
    low: -100.0
    high: 100.0
    cells: {population: M1_L5B_PT, tiles: {nx: 4, ny: 1}}
    decoder: {population_vector: {preferred_deg: [0, 90, 180, 270]}}
    provenance: {assumed: test}
  - name: who
    unit: "1"
    description: spike times
    channels: [a, b]
    low: 0.0
    high: 1.0
    cells: {population: M1_L5B_PT, neurons: [0, 3]}
    decoder: {spike_times: true}
    provenance: {assumed: test}
equations:
  - name: drive
    equation: m * (1 + sin(2*pi*f*t))
    parameters: {m: 10, f: 8 Hz}
    unit: Hz
    targets: [{region: S1, layer: L5B}]
    weight_nS: 5
    low: 0
    high: 100
    provenance: {assumed: test}
noises:
  - name: hum
    targets: [{region: M1}]
    noise: {mean: 0, deviation: 1, unit: mV}
    provenance: {assumed: test}
rhythms:
  - {name: theta, frequency_hz: 8, amplitude: 1, lag_ms: {S1: 10}, provenance: {assumed: test}}
fields:
  - name: lfp
    signal: lfp
    groups: {M1: [{population: M1_L23_CC}, {population: M1_L5B_PT}]}
    interval_ms: 2
    provenance: {source: "Mazzoni et al. 2015"}
silenced:
  - {name: lesion, targets: [{region: BG, layer: STN}]}
history_ms: 100
"""
