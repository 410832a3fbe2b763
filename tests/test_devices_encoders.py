"""Spikes, tuning curves, lists of neurons and population vectors against their closed forms."""

from __future__ import annotations

import nest
import numpy as np
import pytest
from devices_brain import (
    EXCHANGE_MS,
    MIN_DELAY_MS,
    RESOLUTION_MS,
    build,
    fresh_kernel,
    poisson_population,
    population,
    rate_source,
    recorder,
)

from robobrain.brain.monitors import DirectOutputMonitor, MeanRateDecoder, PopulationVectorDecoder
from robobrain.brain.selectors import Selector, Tile, select
from robobrain.brain.sources import CurrentEncoder, InputTarget, SpikesEncoder, TuningEncoder
from robobrain.errors import ConfigurationError

pytestmark = pytest.mark.usefixtures("panel_models")


def spikes_source(**changes: object) -> object:
    return rate_source(encoder=SpikesEncoder(gain_per_unit=1.0, max_spikes=20), **changes)


@pytest.mark.parametrize("low_level", [True, False])
def test_a_value_becomes_that_number_of_spikes_in_its_exchange_and_again_in_the_next(low_level: bool) -> None:
    fresh_kernel()
    target = population("target", 3)
    spikes = recorder(target)
    panel = build([target], [spikes_source(high=30.0, delay_ms=2.0)], [], low_level=low_level)
    nest.Prepare()
    values = (0.0, 3.0, 3.0, 20.0, 1.4, 30.0, -5.0)
    for step, value in enumerate(values):
        panel.write([value], step * EXCHANGE_MS)
        nest.Run(EXCHANGE_MS)
    nest.Run(EXCHANGE_MS)
    nest.Cleanup()
    times = spikes.events["times"][spikes.events["senders"] == target.first_id] - 2.0
    emitted = np.histogram(times - RESOLUTION_MS / 2, np.arange(len(values) + 1) * EXCHANGE_MS)[0]
    assert emitted.tolist() == [0, 3, 3, 20, 1, 20, 0]
    assert spikes.n_events == 3 * len(times)
    np.testing.assert_allclose(np.sort(times)[:3] - EXCHANGE_MS, [2.0, 5.5, 8.5])


def test_more_spikes_than_time_steps_are_refused() -> None:
    fresh_kernel()
    source = rate_source(encoder=SpikesEncoder(gain_per_unit=1.0, max_spikes=21))
    with pytest.raises(ConfigurationError, match="only 20 time steps"):
        build([population("target", 1)], [source], [])


def test_tuning_curves_give_each_group_its_gaussian_rate() -> None:
    fresh_kernel()
    target = population("target", 400)
    spikes = recorder(target)
    preferred = (-1.0, 0.0, 1.0, 2.0)
    source = rate_source(
        encoder=TuningEncoder(peak_hz=200.0, width=0.8, baseline_hz=10.0),
        targets=tuple(
            InputTarget(
                channel="a",
                selector=Selector(population="target", tile=Tile(index=k, nx=4, ny=1)),
                weight_nS=1.0,
                preferred=value,
            )
            for k, value in enumerate(preferred)
        ),
    )
    panel = build([target], [source], [])
    panel.write([0.7], 0.0)
    nest.Simulate(1000.0)
    counts = np.bincount(spikes.events["senders"], minlength=target.first_id + 400)
    for index, value in enumerate(preferred):
        tile = Selector(population="target", tile=Tile(index=index, nx=4, ny=1))
        mean = 100 * (10.0 + 200.0 * np.exp(-((0.7 - value) ** 2) / (2 * 0.8**2)))
        assert counts[select(tile, {"target": target})].sum() == pytest.approx(
            mean, abs=4 * np.sqrt(mean) + 40
        )


def test_one_channel_per_neuron_of_a_list() -> None:
    fresh_kernel()
    target = population("target", 10)
    spikes = recorder(target)
    cells = (0, 4, 9)
    source = rate_source(
        channels=("n0", "n4", "n9"),
        encoder=SpikesEncoder(gain_per_unit=1.0, max_spikes=5),
        targets=tuple(
            InputTarget(
                channel=f"n{cell}", selector=Selector(population="target", cells=(cell,)), weight_nS=1.0
            )
            for cell in cells
        ),
    )
    panel = build([target], [source], [])
    nest.Prepare()
    panel.write([1.0, 2.0, 3.0], 0.0)
    nest.Run(EXCHANGE_MS)
    panel.write([0.0, 0.0, 0.0], EXCHANGE_MS)
    nest.Run(EXCHANGE_MS)
    nest.Cleanup()
    counts = np.bincount(spikes.events["senders"] - target.first_id, minlength=10)
    assert counts.tolist() == [1, 0, 0, 0, 2, 0, 0, 0, 0, 3]


def test_a_current_into_relays_is_refused() -> None:
    fresh_kernel()
    relay = population("target", 2, relay=True)
    source = rate_source(
        encoder=CurrentEncoder(gain_pA_per_unit=1.0, max_pA=1.0),
        targets=(InputTarget(channel="a", selector=Selector(population="target")),),
    )
    with pytest.raises(ConfigurationError, match="only repeats spikes"):
        build([relay], [source], [])


def test_the_population_vector_recovers_strength_and_direction() -> None:
    fresh_kernel()
    preferred = tuple(45.0 * k for k in range(8))
    true_deg, depth_hz = 70.0, 40.0
    groups = [
        poisson_population(f"g{k}", 200, 50.0 + depth_hz * np.cos(np.deg2rad(true_deg - preferred[k])))
        for k in range(8)
    ]
    channels = {f"g{k}": (Selector(population=f"g{k}"),) for k in range(8)}
    settings = {"unit": "Hz", "low": 0.0, "high": 100.0, "channels": channels, "provenance": "assumed: test"}
    vector = DirectOutputMonitor(
        name="vector", decoder=PopulationVectorDecoder(preferred_deg=preferred, tau_ms=200.0), **settings
    )
    rates = DirectOutputMonitor(name="rates", decoder=MeanRateDecoder(tau_ms=200.0), **settings)
    panel = build(groups, [], [rates, vector])
    assert panel.output_size == 10
    assert panel.ports[1][1].channels == ("x", "y")
    nest.Prepare()
    panel.begin()
    values = np.zeros(10)
    for _ in range(150):
        nest.Run(EXCHANGE_MS)
        values = panel.read().astype(float)
    nest.Cleanup()
    angles = np.deg2rad(preferred)
    exact = 2 / 8 * np.stack([np.cos(angles), np.sin(angles)]) @ values[:8]
    np.testing.assert_allclose(values[8:], exact, rtol=1e-5)
    assert np.hypot(*values[8:]) == pytest.approx(depth_hz, rel=0.1)
    assert np.rad2deg(np.arctan2(values[9], values[8])) == pytest.approx(true_deg, abs=5.0)


@pytest.mark.parametrize("cells", [(), (-1,), (3, 3), (4, 2)])
def test_impossible_lists_of_neurons_are_refused(cells: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match="ascending"):
        Selector(population="a", cells=cells)


def test_neurons_and_layers_that_do_not_exist_are_named() -> None:
    group = population_of(layer="L5")
    with pytest.raises(ConfigurationError, match=r"cell 7 does not exist: target has 4, the last is 3"):
        select(Selector(population="target", cells=(0, 7)), {"target": group})
    with pytest.raises(ConfigurationError, match=r"no layer 'L9' in M1; there are L5"):
        select(Selector(region="M1", layer="L9"), {"target": group})
    assert select(Selector(region="M1", layer="L5"), {"target": group}).size == 4


def population_of(layer: str) -> object:
    fresh_kernel()
    return population("target", 4, layer=layer)


def test_spikes_have_no_delay_below_the_minimum() -> None:
    fresh_kernel()
    with pytest.raises(ConfigurationError, match="minimum delay"):
        build([population("target", 1)], [spikes_source(delay_ms=MIN_DELAY_MS / 2)], [])
