"""Sources that play by themselves and monitors of histories, against closed forms and full recordings."""

from __future__ import annotations

from typing import Any

import nest
import numpy as np
import pytest
from devices_brain import (
    EXCHANGE_MS,
    MIN_DELAY_MS,
    RESOLUTION_MS,
    fresh_kernel,
    nodes,
    poisson_population,
    population,
    recorder,
)

from robobrain.brain.devices import NO_DEVICES, Devices, from_text, joined, to_text
from robobrain.brain.histories import FieldOutputMonitor, FieldSignal, VoltageMonitor
from robobrain.brain.instruments import Instruments
from robobrain.brain.monitors import (
    CountDecoder,
    DirectOutputMonitor,
    MeanRateDecoder,
    PopulationVectorDecoder,
    RateDecoder,
    SpikeTimesDecoder,
)
from robobrain.brain.selectors import PlacedPopulation, Selector
from robobrain.brain.signals import (
    DirectEquationSource,
    GaussianNoise,
    GlobalSource,
    PoissonNoise,
    Silence,
    UniformRegionSource,
    Unit,
    Window,
)
from robobrain.brain.site import Site
from robobrain.brain.sources import (
    CurrentEncoder,
    DirectInputSource,
    InputTarget,
    RateEncoder,
    SpikesEncoder,
    TuningEncoder,
)
from robobrain.bridge.messages import Samples
from robobrain.errors import ConfigurationError

T0_MS = 50.0
INTEGRATOR = {"tau_m": 1e9, "C_m": 100.0, "E_L": 0.0, "V_m": 0.0, "V_th": np.inf, "V_reset": -1.0}
PLAIN = {"provenance": "assumed: test"}


def here(*names: str, **selection: Any) -> tuple[Selector, ...]:
    return tuple(Selector(population=name, **selection) for name in names or ("target",))


def settled(*groups: PlacedPopulation) -> Site:
    """Run for T0_MS, as a brain that settles, and return where devices can be put."""
    populations = {group.name: group for group in groups}
    nest.Simulate(T0_MS)
    return Site(
        nest=nest,
        populations=populations,
        resolution_ms=RESOLUTION_MS,
        exchange_ms=EXCHANGE_MS,
        min_delay_ms=nest.min_delay,
        max_delay_ms=nest.max_delay,
    )


def play(site: Site, devices: Devices, duration_ms: float, inputs: tuple[float, ...] = ()) -> list[Samples]:
    instruments = Instruments(site, devices, T0_MS)
    nest.Prepare()
    samples: list[Samples] = []
    for step in range(round(duration_ms / EXCHANGE_MS)):
        instruments.write(np.array(inputs, dtype=np.float32), T0_MS + step * EXCHANGE_MS)
        nest.Run(EXCHANGE_MS)
        samples += instruments.advance(EXCHANGE_MS)
    samples += instruments.flush()
    nest.Cleanup()
    return samples


def whole(samples: list[Samples], monitor: str) -> tuple[np.ndarray, np.ndarray]:
    parts = [part for part in samples if part.monitor == monitor and len(part.t_ms)]
    return np.concatenate([part.t_ms for part in parts]), np.concatenate([part.values for part in parts])


def prepare_kernel(**settings: Any) -> None:
    fresh_kernel(**settings)
    nest.set(min_delay=MIN_DELAY_MS, max_delay=5.0)


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_rate_equation_gives_rate_and_phase_at_the_neurons(seed: int) -> None:
    prepare_kernel(seed=seed)
    target = population("target", 400)
    spikes = recorder(target)
    source = DirectEquationSource(
        name="theta",
        equation="m + a*sin(2*pi*f*t + p)",
        parameters={"m": "40 Hz", "a": 30.0, "f": "8 Hz", "p": "60 deg"},
        unit=Unit.RATE,
        targets=here(),
        low=0.0,
        high=200.0,
        weight_nS=1.0,
        **PLAIN,
    )
    play(settled(target), Devices(equations=(source,)), 2000.0)
    times_s = (spikes.events["times"] - T0_MS - MIN_DELAY_MS - RESOLUTION_MS / 2) / 1e3
    n = 400 * 2.0
    assert len(times_s) / n == pytest.approx(40.0, abs=4 * np.sqrt(40.0 / n))
    component = 2 * np.exp(-2j * np.pi * 8 * times_s).sum() / n
    error = np.sqrt(2 * 40.0 / n)
    assert abs(component) == pytest.approx(30.0, abs=4 * error)
    assert np.angle(component * 1j * np.exp(-1j * np.pi / 3)) == pytest.approx(0.0, abs=4 * error / 30.0)


def test_a_current_equation_integrates_to_its_closed_form_and_begins_after_the_delay() -> None:
    prepare_kernel()
    target = population("target", 2, "iaf_psc_delta", current_per_mV=3.0, **INTEGRATOR)
    meter = nest.Create("multimeter", params={"record_from": ["V_m"], "interval": RESOLUTION_MS})
    nest.Connect(meter, nodes(target)[0], syn_spec={"delay": MIN_DELAY_MS})
    source = DirectEquationSource(
        name="ramp",
        equation="100*t",
        unit=Unit.POTENTIAL,
        targets=here(),
        low=-1e3,
        high=1e3,
        sample_ms=RESOLUTION_MS,
        delay_ms=3.0,
        window=Window(start_ms=20.0, stop_ms=220.0),
        **PLAIN,
    )
    play(settled(target), Devices(equations=(source,)), 300.0)
    events = meter.events
    t_ms, v = events["times"] - T0_MS, events["V_m"]
    assert t_ms[v != 0.0].min() == 20.0 + 3.0 + 2 * RESOLUTION_MS  # emitted, delayed, integrated over a step
    integral = 3.0 * 100.0 * (0.220**2 - 0.020**2) / 2 * 1e3
    assert v[-1] == pytest.approx(integral / 100.0, rel=1e-6)


def test_a_rhythm_has_its_amplitude_phase_and_lag_at_the_neurons_of_each_region() -> None:
    prepare_kernel()
    first = population("first", 1, "iaf_psc_delta", region="M1", current_per_mV=2.0, **INTEGRATOR)
    second = population("second", 1, "iaf_psc_delta", region="S1", current_per_mV=5.0, **INTEGRATOR)
    relays = population("relays", 3, region="S1", relay=True)
    meter = nest.Create("multimeter", params={"record_from": ["V_m"], "interval": RESOLUTION_MS})
    nest.Connect(meter, nodes(first) + nodes(second), syn_spec={"delay": MIN_DELAY_MS})
    rhythm = GlobalSource(
        name="theta", frequency_hz=8.0, amplitude=4.0, phase_rad=0.7, lag_ms={"S1": 20.0}, **PLAIN
    )
    play(settled(first, second, relays), Devices(rhythms=(rhythm,)), 500.0)
    events = meter.events
    for group, gain, lag_ms in ((first, 2.0, 0.0), (second, 5.0, 20.0)):
        chosen = events["senders"] == group.first_id
        t_ms = events["times"][chosen] - T0_MS
        current = np.diff(events["V_m"][chosen]) * 100.0 / RESOLUTION_MS / gain
        inside = t_ms[1:] > 5.0
        middle_s = (t_ms[1:] - RESOLUTION_MS / 2 - lag_ms) / 1e3
        expected = 4.0 * np.sin(2 * np.pi * 8.0 * middle_s + 0.7)
        np.testing.assert_allclose(current[inside], expected[inside], atol=4.0 * 2 * np.pi * 8.0 * 0.5e-3)
        assert t_ms[1:][current != 0.0].min() == MIN_DELAY_MS + 2 * RESOLUTION_MS


def test_noise_has_its_mean_and_deviation_and_is_each_neurons_own() -> None:
    prepare_kernel()
    target = population("target", 400, "iaf_psc_delta", layer="L5", **INTEGRATOR)
    source = UniformRegionSource(
        name="noise",
        targets=(Selector(region="M1", layer="L5"),),
        noise=GaussianNoise(mean=20.0, deviation=50.0, hold_ms=2.0),
        window=Window(stop_ms=1000.0),
        **PLAIN,
    )
    play(settled(target), Devices(noises=(source,)), 1000.0 + 5 * EXCHANGE_MS)
    charge = np.array(nodes(target).V_m) * 100.0
    steps = 1000.0 / 2.0
    mean, deviation = 20.0 * 1000.0, 50.0 * 2.0 * np.sqrt(steps)
    assert charge.mean() == pytest.approx(mean, abs=4 * deviation / np.sqrt(400))
    assert charge.std() == pytest.approx(deviation, rel=4 / np.sqrt(2 * 400))


def test_poisson_noise_counts_have_the_mean_and_deviation_of_their_rate() -> None:
    prepare_kernel()
    target = population("target", 500)
    spikes = recorder(target)
    noise = UniformRegionSource(
        name="p", targets=here(), noise=PoissonNoise(rate_hz=80.0, weight_nS=1.0), **PLAIN
    )
    play(settled(target), Devices(noises=(noise,)), 1000.0 + 2 * MIN_DELAY_MS)
    counts = np.bincount(spikes.events["senders"] - target.first_id, minlength=500)
    assert counts.mean() == pytest.approx(80.0, abs=4 * np.sqrt(80.0 / 500) + 0.2)
    assert counts.std() == pytest.approx(np.sqrt(80.0), rel=4 / np.sqrt(2 * 500))


def test_naive_changes_of_a_rhythm_are_ignored_by_nest() -> None:
    prepare_kernel()
    target = population("target", 1, "iaf_psc_delta", **INTEGRATOR)
    naive = nest.Create("ac_generator", params={"amplitude": 0.0, "frequency": 1.0, "phase": 90.0})
    nest.Connect(naive, nodes(target), syn_spec={"delay": MIN_DELAY_MS})
    nest.Prepare()
    nest.Run(EXCHANGE_MS)
    naive.amplitude = 100.0
    nest.Run(EXCHANGE_MS)
    nest.Cleanup()
    assert nodes(target).V_m == 0.0


def brain_like(threads: int = 1, seed: int = 3) -> tuple[PlacedPopulation, PlacedPopulation]:
    prepare_kernel(threads=threads, seed=seed)
    alpha = population("alpha", 30, "iaf_psc_alpha")
    exp = population("exp", 20, "iaf_psc_exp", region="S1")
    drive = poisson_population("drive", 40, 300.0)
    for group in (alpha, exp):
        for weight in (60.0, -30.0):
            nest.Connect(
                nodes(drive),
                nodes(group),
                {"rule": "fixed_indegree", "indegree": 15},
                {"weight": weight, "delay": MIN_DELAY_MS},
            )
    return alpha, exp


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("history_ms", [EXCHANGE_MS, 70.0, 1e4])
def test_fields_potentials_and_spike_times_equal_a_full_recording(threads: int, history_ms: float) -> None:
    alpha, exp = brain_like(threads)
    site = settled(alpha, exp)
    interval_ms = 2.0
    full = nest.Create(
        "multimeter", params={"record_from": ["V_m", "I_syn_ex", "I_syn_in"], "interval": RESOLUTION_MS}
    )
    nest.Connect(full, nodes(alpha) + nodes(exp), syn_spec={"delay": MIN_DELAY_MS})
    spikes = recorder(alpha)
    groups = {"both": here("alpha", "exp"), "part": here("alpha", fraction=0.5)}
    field = {"groups": groups, "interval_ms": interval_ms, **PLAIN}
    devices = Devices(
        fields=tuple(FieldOutputMonitor(name=signal, signal=signal, **field) for signal in FieldSignal),
        voltages=(VoltageMonitor(name="cells", targets=here("exp", cells=(2, 5)), **PLAIN),),
        outputs=(
            DirectOutputMonitor(
                name="spikes",
                unit="1",
                low=0.0,
                high=1.0,
                channels={"all": here("alpha")},
                decoder=SpikeTimesDecoder(),
                **PLAIN,
            ),
        ),
        history_ms=history_ms,
    )
    samples = play(site, devices, 400.0)

    events = full.events
    order = np.lexsort((events["senders"], events["times"]))
    shape = (-1, alpha.size + exp.size)
    t_ms = events["times"][order].reshape(shape)[:, 0] - T0_MS
    v, ex, inh = (events[key][order].reshape(shape) for key in ("V_m", "I_syn_ex", "I_syn_in"))
    columns = {"both": np.arange(50), "part": np.arange(15) * 2}

    def compare(name: str, expected: np.ndarray, begin_ms: float) -> None:
        times, values = whole(samples, name)
        np.testing.assert_array_equal(times, np.arange(begin_ms, times[-1] + 1, interval_ms))
        assert times[-1] >= 400.0 - interval_ms - MIN_DELAY_MS
        index = np.searchsorted(t_ms, times - 1e-6)
        np.testing.assert_allclose(values, expected[index], rtol=1e-12, atol=1e-9)

    def sums(matrix: np.ndarray) -> np.ndarray:
        return np.stack([matrix[:, chosen].sum(axis=1) for chosen in columns.values()], axis=1)

    compare("potential", sums(v), interval_ms)
    compare("current", sums(ex + inh), interval_ms)
    lag = round(6.0 / RESOLUTION_MS)
    delayed = np.concatenate([np.zeros((lag, 50)), ex[:-lag]])
    compare("lfp", sums(delayed - 1.65 * inh), 6.0 + interval_ms)
    assert np.abs(sums(ex)).max() > 100.0

    times, values = whole(samples, "cells")
    np.testing.assert_array_equal(values, v[np.searchsorted(t_ms, times - 1e-6)][:, [32, 35]])
    times, senders = whole(samples, "spikes")
    recorded = spikes.events
    kept = recorded["times"] - T0_MS <= times[-1]
    order = np.lexsort((recorded["senders"][kept], recorded["times"][kept]))
    assert len(times) > 50
    np.testing.assert_array_equal(times, recorded["times"][kept][order] - T0_MS)
    np.testing.assert_array_equal(senders[:, 0], recorded["senders"][kept][order])


def test_recorders_stay_as_small_as_one_delivery() -> None:
    alpha, exp = brain_like()
    monitor = VoltageMonitor(name="v", targets=here("alpha"), **PLAIN)
    samples = play(settled(alpha, exp), Devices(voltages=(monitor,), history_ms=20.0), 400.0)
    assert max(len(part.t_ms) for part in samples) <= 20
    assert len(whole(samples, "v")[0]) in (399, 400)


def test_silenced_neurons_do_not_spike_but_their_membrane_lives() -> None:
    alpha, exp = brain_like()
    site = settled(alpha, exp)
    spikes, others = recorder(alpha), recorder(exp)
    devices = Devices(
        silenced=(Silence(name="lesion", targets=here("alpha")),),
        voltages=(VoltageMonitor(name="v", targets=here("alpha"), **PLAIN),),
    )
    samples = play(site, devices, 200.0)
    assert spikes.n_events == 0
    assert others.n_events > 0
    assert whole(samples, "v")[1].std() > 1.0


def test_devices_travel_as_text_exactly() -> None:
    source = DirectEquationSource(
        name="e",
        equation="t",
        unit=Unit.CURRENT,
        targets=here(fraction=0.1 + 0.2),
        low=0.0,
        high=1 / 3,
        parameters={"a": "8 Hz", "b": 2.0},
        **PLAIN,
    )
    noise = UniformRegionSource(
        name="n", targets=here(), noise=PoissonNoise(rate_hz=1.0, weight_nS=1.0), **PLAIN
    )
    rhythm = GlobalSource(name="r", frequency_hz=8.0, amplitude=1.0, lag_ms={"M1": 2.0}, **PLAIN)
    devices = Devices(equations=(source,), noises=(noise,), rhythms=(rhythm,))
    assert from_text(to_text(devices)) == devices
    assert from_text("") == NO_DEVICES
    assert joined(devices, NO_DEVICES) == devices


ENCODERS = [
    (RateEncoder(gain_hz_per_unit=1.0, max_hz=2.0), {"weight_nS": 1.0}),
    (CurrentEncoder(gain_pA_per_unit=1.0, max_pA=2.0), {}),
    (SpikesEncoder(gain_per_unit=1.0, max_spikes=2), {"weight_nS": 1.0}),
    (TuningEncoder(peak_hz=1.0, width=2.0), {"weight_nS": 1.0, "preferred": 0.0}),
]
DECODERS = [
    CountDecoder(),
    RateDecoder(),
    MeanRateDecoder(),
    PopulationVectorDecoder(preferred_deg=(0.0, 90.0)),
    SpikeTimesDecoder(),
]


@pytest.mark.parametrize(("encoder", "settings"), ENCODERS)
@pytest.mark.parametrize("decoder", DECODERS)
def test_every_encoder_and_decoder_travels_as_itself(encoder: Any, settings: Any, decoder: Any) -> None:
    port = {"name": "p", "unit": "1", "low": 0.0, "high": 1.0, **PLAIN}
    targets = (InputTarget(channel="a", selector=here()[0], **settings),)
    devices = Devices(
        inputs=(DirectInputSource(channels=("a",), encoder=encoder, targets=targets, **port),),
        outputs=(DirectOutputMonitor(channels={"a": here(), "b": here()}, decoder=decoder, **port),),
    )
    assert from_text(to_text(devices)) == devices


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"targets": here("missing")}, "equation x: no population 'missing'"),
        ({"targets": here("relay")}, "equation x: .* only repeats spikes"),
        ({"delay_ms": 7.0}, "equation x: .* longest delay of the network"),
        ({"delay_ms": 0.5}, "equation x: .* minimum delay"),
        ({"sample_ms": 0.7}, "equation x: sample_ms = 0.7 must be a multiple"),
        ({"sample_ms": 3.0}, "equation x: sample_ms = 3 must"),
    ],
)
def test_a_device_that_does_not_fit_the_brain_is_named(change: dict[str, Any], match: str) -> None:
    prepare_kernel()
    site = settled(population("target", 4, "iaf_psc_alpha"), population("relay", 4, relay=True))
    settings = {"name": "x", "equation": "t", "unit": Unit.CURRENT, "low": 0.0, "high": 1.0, **PLAIN}
    source = DirectEquationSource(**{"targets": here(), **settings, **change})
    with pytest.raises(ConfigurationError, match=match):
        Instruments(site, Devices(equations=(source,)), T0_MS)


def test_an_equation_without_a_value_stops_before_anything_is_changed() -> None:
    prepare_kernel()
    site = settled(population("target", 4, "iaf_psc_alpha"))
    source = DirectEquationSource(
        name="late", equation="log(60.05 - t)", unit=Unit.CURRENT, targets=here(), low=0.0, high=1.0, **PLAIN
    )
    instruments = Instruments(site, Devices(equations=(source,)), T0_MS)
    instruments.write(np.zeros(0, dtype=np.float32), T0_MS)
    with pytest.raises(ConfigurationError, match=r"source late: .* no finite value at t = 60.05"):
        instruments.write(np.zeros(0, dtype=np.float32), T0_MS + 60_000.0)
