"""What NEST ignores or counts twice between two Run calls: the naive way fails, the panel does not."""

from __future__ import annotations

import nest
import numpy as np
import pytest
from devices_brain import (
    EXCHANGE_MS,
    MIN_DELAY_MS,
    build,
    fresh_kernel,
    nodes,
    population,
    rate_source,
    recorder,
)

from robobrain.brain.monitors import CountDecoder, DirectOutputMonitor
from robobrain.brain.selectors import Selector

pytestmark = pytest.mark.usefixtures("panel_models")


def test_a_poisson_generator_ignores_a_new_rate_but_a_source_does_not() -> None:
    fresh_kernel()
    naive, target = population("naive", 20), population("target", 20)
    naive_spikes, spikes = recorder(naive), recorder(target)
    generator = nest.Create("poisson_generator", params={"rate": 0.0})
    nest.Connect(generator, nodes(naive), "all_to_all", {"delay": MIN_DELAY_MS})
    panel = build([target], [rate_source()], [])
    nest.Prepare()
    nest.Run(EXCHANGE_MS)
    generator.rate = 1000.0
    panel.write([10.0], EXCHANGE_MS)
    nest.Run(100.0)
    nest.Cleanup()
    assert naive_spikes.n_events == 0
    assert spikes.n_events == pytest.approx(2000, abs=300)


def test_event_totals_count_twice_but_a_monitor_does_not() -> None:
    fresh_kernel()
    target = population("PT", 20)
    spikes = recorder(target)
    counter = DirectOutputMonitor(
        name="out",
        unit="1",
        low=0.0,
        high=1000.0,
        channels={"all": (Selector(population="PT"),)},
        decoder=CountDecoder(),
        provenance="assumed: test",
    )
    panel = build([target], [rate_source(target="PT")], [counter])
    nest.Prepare()
    panel.write([10.0], 0.0)
    naive, counted = 0, 0.0
    for _ in range(10):
        nest.Run(EXCHANGE_MS)
        naive += spikes.n_events
        counted += float(panel.read()[0])
    nest.Cleanup()
    truth = spikes.n_events
    assert naive > 4 * truth
    assert counted == np.count_nonzero(spikes.events["times"] <= 100.0 - MIN_DELAY_MS)
    assert 0.9 * truth < counted <= truth


def test_a_recorder_cannot_be_cleared_while_prepared() -> None:
    fresh_kernel()
    target = population("target", 20)
    spikes = recorder(target)
    panel = build([target], [rate_source()], [])
    nest.Prepare()
    panel.write([10.0], 0.0)
    nest.Run(100.0)
    with pytest.raises(nest.NESTError):
        spikes.n_events = 0
    nest.Cleanup()
    spikes.n_events = 0
    assert spikes.n_events == 0


def test_a_write_for_a_time_that_has_passed_is_never_silence(panel_models: str) -> None:
    fresh_kernel()
    target = population("target", 20)
    spikes = recorder(target)
    panel = build([target], [rate_source()], [])
    nest.Prepare()
    nest.Run(100.0)
    if panel_models == "nest":
        with pytest.raises(nest.NESTError, match="future"):
            panel.write([10.0], 50.0)
    else:  # packed sources know no time but the present
        panel.write([10.0], 50.0)
        nest.Run(100.0)
        assert spikes.n_events == pytest.approx(2000, abs=300)
    nest.Cleanup()
