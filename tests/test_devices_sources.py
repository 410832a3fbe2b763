from __future__ import annotations

from typing import Any

import nest
import numpy as np
import pytest
from devices_brain import (
    EXCHANGE_MS,
    RESOLUTION_MS,
    build,
    fresh_kernel,
    nodes,
    population,
    rate_source,
    recorder,
)

from robobrain.brain.nodes import Nodes
from robobrain.brain.packed import RATE_SOURCE
from robobrain.brain.selectors import Column, Selector, Tile
from robobrain.brain.sources import CurrentEncoder, DirectInputSource, Half, InputTarget, RateEncoder
from robobrain.errors import ConfigurationError

ENCODER = RateEncoder(
    gain_hz_per_unit=100.0, baseline_hz=20.0, reference=1.0, exponent=0.6, dead_zone=0.5, max_hz=300.0
)

GENERATORS = {"nest": "inhomogeneous_poisson_generator", "packed": RATE_SOURCE}
pytestmark = pytest.mark.usefixtures("panel_models")


def expected_hz(value: float, half: Half, gain: float = 1.0) -> float:
    """Rate of ENCODER, written down a second time."""
    deviation = value - 1.0
    size = max(abs(deviation) - 0.5, 0.0) ** 0.6
    shaped = {
        Half.BOTH: size if deviation > 0 else -size,
        Half.POSITIVE: size if deviation > 0 else 0.0,
        Half.NEGATIVE: size if deviation < 0 else 0.0,
    }[half]
    return min(max(20.0 + gain * 100.0 * shaped, 0.0), 300.0)


@pytest.mark.parametrize("half", list(Half))
@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_injected_rate_equals_the_closed_form(half: Half, gain: float) -> None:
    fresh_kernel()
    target = population("target", 400)
    spikes = recorder(target)
    selector = Selector(population="target")
    source = rate_source(
        encoder=ENCODER,
        targets=(InputTarget(channel="a", selector=selector, weight_nS=1.0, half=half, gain=gain),),
    )
    panel = build([target], [source], [])
    seen, t_ms = 0, 0.0
    nest.Prepare()
    for value in (-8.0, 0.2, 1.2, 2.5, 9.0):
        panel.write([value], t_ms)
        nest.Run(500.0)
        t_ms += 500.0
        mean = expected_hz(value, half, gain) * 0.5 * 400
        total = spikes.n_events
        # The first spikes of a value arrive a delay late, and those of the value before it instead.
        assert total - seen == pytest.approx(mean, abs=4.0 * np.sqrt(mean) + 2e-3 * 300 * 400 + 1)
        seen = total
    nest.Cleanup()


def test_each_target_neuron_gets_its_own_train() -> None:
    fresh_kernel()
    target = population("target", 2)
    spikes = recorder(target)
    panel = build([target], [rate_source()], [])
    panel.write([1.0], 0.0)
    nest.Simulate(1000.0)
    events = spikes.events
    first, second = (set(events["times"][events["senders"] == node]) for node in nodes(target).tolist())
    assert 50 < len(first) < 200
    assert len(first & second) < 0.3 * len(first)


def test_a_value_acts_from_the_next_exchange_exactly_and_does_not_linger() -> None:
    fresh_kernel()
    target = population("target", 1)
    spikes = recorder(target)
    panel = build([target], [rate_source(high=1e4, delay_ms=3.0)], [])
    nest.Prepare()
    t_ms = 0.0
    for value in (0.0, 1e4, 0.0, 0.0):
        panel.write([value], t_ms)
        nest.Run(EXCHANGE_MS)
        t_ms += EXCHANGE_MS
    nest.Cleanup()
    times = spikes.events["times"]
    assert times.min() == EXCHANGE_MS + RESOLUTION_MS + 3.0
    assert times.max() == 2 * EXCHANGE_MS + 3.0


def test_a_value_is_held_until_it_is_written_again_also_over_cleanup() -> None:
    fresh_kernel()
    target = population("target", 50)
    spikes = recorder(target)
    panel = build([target], [rate_source()], [])
    nest.Prepare()
    panel.write([10.0], 0.0)
    nest.Run(100.0)
    nest.Cleanup()
    nest.Prepare()
    before = spikes.n_events
    panel.write([10.0], 100.0)
    nest.Run(100.0)
    nest.Cleanup()
    assert spikes.n_events - before == pytest.approx(5000, abs=300)


def test_unchanged_values_cost_no_call_and_changed_ones_cost_one(
    monkeypatch: pytest.MonkeyPatch, panel_models: str
) -> None:
    calls: list[int] = []
    plain_set = Nodes.set
    monkeypatch.setattr(Nodes, "set", lambda self, new: (calls.append(len(new)), plain_set(self, new)))
    fresh_kernel()
    target = population("target", 4)
    panel = build([target], [rate_source(f"in{k}") for k in range(16)], [])
    nest.Prepare()
    for step, value in enumerate((1.0, 1.0, 2.0, 2.0, 3.0)):
        panel.write(np.full(16, value), step * EXCHANGE_MS)
        nest.Run(EXCHANGE_MS)
    nest.Cleanup()
    assert calls == ([16, 16, 16] if panel_models == "nest" else [])


def test_groups_of_one_channel_share_a_device_and_have_their_own_weights(panel_models: str) -> None:
    fresh_kernel()
    strong = population("strong", 1, "iaf_psc_delta", weight=3.0, tau_m=1e18, E_L=0.0, V_m=0.0, V_th=np.inf)
    weak = population("weak", 1, "iaf_psc_delta", weight=1.0, tau_m=1e18, E_L=0.0, V_m=0.0, V_th=np.inf)
    targets = (
        InputTarget(channel="a", selector=Selector(population="strong"), weight_nS=2.0),
        InputTarget(channel="a", selector=Selector(population="weak"), weight_nS=0.5),
    )
    panel = build([strong, weak], [rate_source(targets=targets)], [])
    generators = nest.GetNodes({"model": GENERATORS[panel_models]})
    panel.write([10.0], 0.0)
    nest.Simulate(200.0)
    assert len(generators) == 1
    assert nodes(strong).V_m % 6.0 == 0.0
    assert nodes(strong).V_m / 6.0 == pytest.approx(200, abs=60)
    assert nodes(weak).V_m / 0.5 == pytest.approx(200, abs=60)


def current_source(**changes: Any) -> DirectInputSource:
    return rate_source(
        encoder=CurrentEncoder(gain_pA_per_unit=50.0, max_pA=200.0),
        targets=(InputTarget(channel="a", selector=Selector(population="target")),),
        **changes,
    )


def test_a_current_integrates_to_the_closed_form() -> None:
    fresh_kernel()
    target = population(
        "target", 1, "iaf_psc_delta", tau_m=1e9, C_m=100.0, E_L=0.0, V_m=0.0, V_th=np.inf, V_reset=-1.0
    )
    panel = build([target], [current_source()], [])
    nest.Prepare()
    for step, value in enumerate((2.0, -1.0, 10.0, 0.0)):
        panel.write([value], step * EXCHANGE_MS)
        nest.Run(EXCHANGE_MS)
    nest.Run(EXCHANGE_MS)
    nest.Cleanup()
    charge_fC = (100.0 - 50.0 + 200.0) * EXCHANGE_MS
    assert nodes(target).V_m == pytest.approx(charge_fC / 100.0, rel=1e-6)


def test_values_beyond_the_range_act_like_its_end() -> None:
    fresh_kernel()
    target = population("target", 1)
    spikes = recorder(target)
    panel = build([target], [rate_source(low=0.0, high=3.0)], [])
    panel.write([1000.0], 0.0)
    nest.Simulate(1000.0)
    assert spikes.n_events == pytest.approx(300, abs=70)


@pytest.mark.parametrize("bad", [[np.nan], [np.inf], [1.0, 2.0], [], [[1.0]]])
def test_bad_inputs_are_refused_and_nothing_is_written(bad: object) -> None:
    fresh_kernel()
    target = population("target", 5)
    spikes = recorder(target)
    panel = build([target], [rate_source()], [])
    with pytest.raises(ConfigurationError, match="1 finite numbers"):
        panel.write(bad, 0.0)  # type: ignore[arg-type]
    nest.Simulate(50.0)
    assert spikes.n_events == 0


def test_private_and_public_calls_of_nest_give_the_same_spikes() -> None:
    trains = []
    for low_level in (True, False):
        fresh_kernel()
        target = population("target", 20)
        spikes = recorder(target)
        panel = build([target], [rate_source(), rate_source("two")], [], low_level=low_level)
        nest.Prepare()
        for step in range(10):
            panel.write([step, 10.0 - step], step * EXCHANGE_MS)
            nest.Run(EXCHANGE_MS)
        nest.Cleanup()
        trains.append(spikes.events)
    assert trains[0]["times"].size > 100
    assert np.array_equal(trains[0]["times"], trains[1]["times"])
    assert np.array_equal(trains[0]["senders"], trains[1]["senders"])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"delay_ms": 0.5}, "minimum delay"),
        ({"delay_ms": 1.3}, "multiple of the resolution"),
        (
            {"targets": (InputTarget(channel="a", selector=Selector(population="no"), weight_nS=1.0),)},
            "target",
        ),
    ],
)
def test_what_the_network_cannot_do_is_refused(changes: dict[str, Any], match: str) -> None:
    fresh_kernel()
    target = population("target", 5)
    with pytest.raises(ConfigurationError, match=match):
        build([target], [rate_source(**changes)], [])


def test_duplicate_names_and_a_crooked_exchange_are_refused() -> None:
    fresh_kernel()
    target = population("target", 5)
    with pytest.raises(ConfigurationError, match="unique"):
        build([target], [rate_source(), rate_source()], [])
    with pytest.raises(ConfigurationError, match="multiple"):
        build([target], [rate_source()], [], exchange_ms=10.5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: rate_source(delay_ms=-1.0),
        lambda: rate_source(channels=("a", "b")),
        lambda: rate_source(channels=("a", "a")),
        lambda: rate_source(low=1.0, high=1.0),
        lambda: current_source(
            targets=(InputTarget(channel="a", selector=Selector(region="M1"), weight_nS=1.0),)
        ),
        lambda: rate_source(targets=(InputTarget(channel="a", selector=Selector(region="M1")),)),
        lambda: rate_source(
            targets=(InputTarget(channel="z", selector=Selector(region="M1"), weight_nS=1.0),)
        ),
        lambda: InputTarget(channel="a", selector=Selector(region="M1"), weight_nS=-1.0),
        lambda: InputTarget(channel="a", selector=Selector(region="M1"), gain=float("nan")),
        lambda: RateEncoder(gain_hz_per_unit=float("nan"), max_hz=100.0),
        lambda: RateEncoder(gain_hz_per_unit=1.0, max_hz=0.0),
        lambda: RateEncoder(gain_hz_per_unit=1.0, max_hz=1.0, exponent=-1.0),
        lambda: CurrentEncoder(gain_pA_per_unit=1.0, max_pA=-1.0),
    ],
)
def test_impossible_sources_are_refused(make: object) -> None:
    with pytest.raises((ConfigurationError, TypeError)):
        make()  # type: ignore[operator]


def test_a_source_reaches_only_its_cells() -> None:
    fresh_kernel()
    target = population("target", 64)
    spikes = recorder(target)
    tile = Tile(index=2, nx=4, ny=2)
    column = Column(x_mm=-0.4, y_mm=0.4, cells=3)
    targets = (
        InputTarget(channel="a", selector=Selector(population="target", tile=tile), weight_nS=1.0),
        InputTarget(channel="b", selector=Selector(population="target", column=column), weight_nS=1.0),
    )
    panel = build([target], [rate_source(channels=("a", "b"), targets=targets)], [])
    panel.write([10.0, 0.0], 0.0)
    nest.Simulate(300.0)
    assert np.unique(spikes.events["senders"]).size == 8
