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
    recorder,
)

from robobrain.brain.counters import COUNTER, CountingNeurons
from robobrain.brain.monitors import (
    CountDecoder,
    Decoder,
    DirectOutputMonitor,
    MeanRateDecoder,
    RateDecoder,
    Readout,
)
from robobrain.brain.nodes import Nodes
from robobrain.brain.selectors import Selector, Tile, select
from robobrain.brain.site import Site
from robobrain.errors import ConfigurationError

PT = Selector(population="PT")

pytestmark = pytest.mark.usefixtures("panel_models")


def monitor(decoder: Decoder, name: str = "out", **channels: Selector) -> DirectOutputMonitor:
    return DirectOutputMonitor(
        name=name,
        unit="Hz",
        low=0.0,
        high=200.0,
        channels={label: (selector,) for label, selector in (channels or {"all": PT}).items()},
        decoder=decoder,
        provenance="assumed: test",
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_counts_equal_a_full_recording_of_the_same_run(threads: int) -> None:
    fresh_kernel(threads=threads)
    cells = poisson_population("PT", 64, 40.0)
    spikes = recorder(cells)
    tiles = {f"tile{k}": Selector(population="PT", tile=Tile(index=k, nx=4, ny=2)) for k in range(8)}
    panel = build([cells], [], [monitor(CountDecoder(), **tiles)])
    nest.Prepare()
    panel.begin()
    readings = []
    for _ in range(30):
        nest.Run(EXCHANGE_MS)
        readings.append(panel.read())
    nest.Cleanup()
    times, senders = spikes.events["times"], spikes.events["senders"]
    # A spike emitted in the last minimum delay of an exchange is still on its way to the counter.
    edges = np.arange(31) * EXCHANGE_MS - MIN_DELAY_MS + RESOLUTION_MS / 2
    assert times.size > 500
    for channel, tile in enumerate(tiles.values()):
        own = times[np.isin(senders, select(tile, {"PT": cells}))]
        assert np.array_equal(np.array(readings)[:, channel], np.histogram(own, edges)[0])


def test_the_counter_is_exact_far_beyond_any_session() -> None:
    fresh_kernel()
    counter = nest.Create("iaf_psc_delta", 1, {**COUNTER, "V_m": 2.0**50})
    source = nest.Create("spike_generator", params={"spike_times": [5.0, 6.0, 7.0]})
    nest.Connect(source, counter, syn_spec={"weight": 1.0, "delay": 1.0})
    nest.Simulate(10_000.0)
    assert counter.V_m - 2.0**50 == 3.0


@pytest.mark.parametrize("sizes", [[30, 20, 30, 5, 30], [3000, 1, 2], [1]])
@pytest.mark.parametrize("start", [0.0, 2.0**50 - 3.0, 2.0**52 + 1.0])
def test_groups_that_share_a_counting_neuron_keep_apart(sizes: list[int], start: float) -> None:
    fresh_kernel()
    cells = poisson_population("PT", max(sizes), 400.0)
    spikes = recorder(cells)
    groups = [cells.first_id + np.arange(size) for size in sizes]
    site = Site(
        nest=nest,
        populations={"PT": cells},
        resolution_ms=RESOLUTION_MS,
        exchange_ms=EXCHANGE_MS,
        min_delay_ms=MIN_DELAY_MS,
    )
    counters = CountingNeurons(site, groups)
    nest.GetNodes({"model": "iaf_psc_delta"}).V_m = start
    counters.new()
    nest.Prepare()
    counts = []
    for _ in range(20):
        nest.Run(EXCHANGE_MS)
        counts.append(counters.new())
    nest.Cleanup()
    times, senders = spikes.events["times"], spikes.events["senders"]
    edges = np.arange(21) * EXCHANGE_MS - MIN_DELAY_MS + RESOLUTION_MS / 2
    wanted = [np.histogram(times[np.isin(senders, ids)], edges)[0] for ids in groups]
    np.testing.assert_array_equal(np.transpose(counts), wanted)
    assert np.sum(wanted) > 10


def kernel_hz(s_ms: np.ndarray) -> np.ndarray:
    return np.where(s_ms >= 0, 1000.0 * (np.exp(-s_ms / 30.0) - np.exp(-s_ms / 5.0)) / 25.0, 0.0)


def test_the_rate_filter_equals_its_definition() -> None:
    counts = np.random.default_rng(3).poisson(6.0, 40).astype(float)
    readout = Readout([RateDecoder(tau_rise_ms=5.0, tau_decay_ms=30.0)], [20])
    seen = [float(readout.advance(np.array([n]), EXCHANGE_MS)[0]) for n in counts]
    part_ms = 0.01
    inside_ms = (np.arange(1000) + 0.5) * part_ms
    for end in (1, 5, 40):
        ages_ms = (end - 1 - np.arange(end))[:, None] * EXCHANGE_MS + inside_ms
        wanted = (counts[:end, None] / 1000 * kernel_hz(ages_ms)).sum() / 20
        assert seen[end - 1] == pytest.approx(wanted, rel=1e-5)


def test_the_rate_is_near_the_filter_of_the_exact_spike_times() -> None:
    fresh_kernel()
    cells = poisson_population("PT", 100, 30.0)
    spikes = recorder(cells)
    panel = build([cells], [], [monitor(RateDecoder())])
    nest.Prepare()
    panel.begin()
    seen = []
    for _ in range(50):
        nest.Run(EXCHANGE_MS)
        seen.append(float(panel.read()[0]))
    nest.Cleanup()
    ends = (np.arange(50) + 1) * EXCHANGE_MS - MIN_DELAY_MS
    exact = np.array([kernel_hz(end - spikes.events["times"]).sum() / 100 for end in ends])
    assert np.abs(np.array(seen) - exact).max() < 3.0
    assert np.corrcoef(seen, exact)[0, 1] > 0.98


@pytest.mark.parametrize("decoder", [RateDecoder(), MeanRateDecoder(tau_ms=80.0)])
@pytest.mark.parametrize("exchange_ms", [1.0, 10.0, 50.0])
def test_a_constant_rate_is_reported_as_itself(decoder: Decoder, exchange_ms: float) -> None:
    readout = Readout([decoder], [10])
    counts = np.array([10 * 25.0 * exchange_ms / 1000])
    for _ in range(int(1500 / exchange_ms)):
        value = readout.advance(counts, exchange_ms)
    assert value[0] == pytest.approx(25.0, rel=1e-6)


def test_the_mean_rate_decays_with_its_window() -> None:
    readout = Readout([MeanRateDecoder(tau_ms=80.0)], [1])
    first = readout.advance(np.array([1.0]), 10.0)[0]
    assert first == pytest.approx(1000.0 / 10.0 * (1 - np.exp(-10.0 / 80.0)))
    assert readout.advance(np.array([0.0]), 10.0)[0] == pytest.approx(first * np.exp(-10.0 / 80.0))


def test_an_episode_starts_without_the_past_and_can_start_at_rest() -> None:
    fresh_kernel()
    cells = poisson_population("PT", 200, 20.0)
    monitors = [monitor(RateDecoder()), monitor(MeanRateDecoder(), "mean"), monitor(CountDecoder(), "count")]
    panel = build([cells], [], monitors)
    nest.Prepare()
    nest.Run(500.0)
    assert panel.begin().tolist() == [0.0, 0.0, 0.0]
    nest.Run(500.0)
    rest = panel.begin(500.0)
    assert rest[:2] == pytest.approx([20.0, 20.0], abs=2.0)
    assert rest[2] == pytest.approx(rest[0] * 0.5 * 200)
    nest.Run(EXCHANGE_MS)
    assert panel.read() == pytest.approx([20.0, 20.0, 40.0], abs=25.0)
    nest.Cleanup()


def test_a_region_pools_its_populations_and_counts_each_cell_once() -> None:
    fresh_kernel()
    groups = [poisson_population("PT", 30, 50.0), poisson_population("CC", 10, 10.0)]
    pooled = DirectOutputMonitor(
        name="region",
        unit="1",
        low=0.0,
        high=100.0,
        channels={"M1": (Selector(region="M1"), PT)},
        decoder=CountDecoder(),
        provenance="assumed: test",
    )
    recorders = [recorder(group) for group in groups]
    panel = build(groups, [], [pooled])
    nest.Prepare()
    nest.Run(200.0)
    counted = panel.read(200.0)
    nest.Cleanup()
    times = np.concatenate([device.events["times"] for device in recorders])
    assert counted[0] == np.count_nonzero(times <= 200.0 - MIN_DELAY_MS)


def test_a_reading_is_one_call_to_nest_and_no_recorder_whatever_the_history(
    monkeypatch: pytest.MonkeyPatch, panel_models: str
) -> None:
    calls: list[str] = []
    plain_values = Nodes.values
    monkeypatch.setattr(Nodes, "values", lambda self, key: (calls.append(key), plain_values(self, key))[1])
    fresh_kernel()
    cells = poisson_population("PT", 40, 100.0)
    panel = build([cells], [], [monitor(RateDecoder(), f"out{k}") for k in range(20)])
    nest.Prepare()
    for _ in range(50):
        nest.Run(EXCHANGE_MS)
        panel.read()
    nest.Cleanup()
    assert calls == (["V_m"] * 50 if panel_models == "nest" else [])
    assert len(nest.GetNodes({"model": "spike_recorder"})) == 0
    assert nest.num_connections == 40 + 40  # what several monitors want is counted once


def test_private_and_public_calls_of_nest_read_the_same() -> None:
    readings = []
    for low_level in (True, False):
        fresh_kernel()
        cells = poisson_population("PT", 40, 100.0)
        panel = build([cells], [], [monitor(CountDecoder())], low_level=low_level)
        nest.Simulate(50.0)
        readings.append(panel.read(50.0))
    assert readings[0] == readings[1] > 50


def test_ports_are_plain_rows_in_the_order_of_the_arrays() -> None:
    fresh_kernel()
    cells = poisson_population("PT", 40, 10.0)
    panel = build([cells], [], [monitor(CountDecoder(), a=PT, b=PT), monitor(CountDecoder(), "two", c=PT)])
    inputs, outputs = panel.ports
    assert inputs == ()
    assert [(port.name, port.channels) for port in outputs] == [("out", ("a", "b")), ("two", ("c",))]
    assert (panel.input_size, panel.output_size) == (0, 3)
    assert panel.read().dtype == np.float32


@pytest.mark.parametrize(
    "make",
    [
        lambda: RateDecoder(tau_rise_ms=30.0, tau_decay_ms=5.0),
        lambda: RateDecoder(tau_rise_ms=float("nan")),
        lambda: MeanRateDecoder(tau_ms=0.0),
        lambda: DirectOutputMonitor(
            name="x",
            unit="1",
            low=0.0,
            high=1.0,
            channels={"a": ()},
            decoder=CountDecoder(),
            provenance="test",
        ),
        lambda: DirectOutputMonitor(
            name="x", unit="1", low=0.0, high=1.0, channels={}, decoder=CountDecoder(), provenance="test"
        ),
    ],
)
def test_impossible_monitors_are_refused(make: object) -> None:
    with pytest.raises(ConfigurationError):
        make()  # type: ignore[operator]
