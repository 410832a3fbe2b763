"""The network: what NEST holds is what the tables say, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from brain_spikes import spikes_of

from robobrain.brain.inventory import count_regions, count_synapses
from robobrain.brain.network import Network
from robobrain.brain.scaling import scale
from robobrain.brain.sheet import HALF_MM, Sheet, draw_synapses
from robobrain.brain.spec import BrainSpec, Projection
from robobrain.brain.tables import BrainTables, load_tables
from robobrain.seeding import generator


@pytest.fixture(scope="module")
def tables() -> BrainTables:
    return load_tables()


@pytest.fixture(scope="module")
def tiny(tables: BrainTables) -> BrainSpec:
    return scale(tables, "tiny")


def projection(**values: object) -> Projection:
    plain: dict[str, object] = {
        "pre": "a",
        "post": "b",
        "receptor": "ex",
        "indegree": 12.5,
        "weight": 2.0,
        "weight_log_sd": 0.0,
        "sigma_mm": 0.1,
        "delay_ms": 1.5,
        "delay_jitter_ms": 0.0,
        "port": 0,
    }
    return Projection(**(plain | values))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_nest_counts_what_the_inventory_says(tables: BrainTables, size: str) -> None:
    spec = scale(tables, size)
    regions = count_regions(spec, tables)
    counts = Network(spec, threads=1).kernel_counts()
    assert counts.neurons == sum(region.neurons for region in regions) == spec.neurons
    assert counts.synapses == sum(region.synapses for region in regions)
    assert counts.synapses == pytest.approx(spec.synapses_expected, rel=1e-3)
    assert {region.region: region.populations + region.relay_pools for region in regions} == {
        "M1": 19, "S1": 22, "VL": 8, "VM": 8, "BG": 8, "CB_M1": 6, "CB_S1": 6
    }  # fmt: skip


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_every_enabled_projection_has_synapses(tables: BrainTables, size: str) -> None:
    spec = scale(tables, size)
    synapses = count_synapses(spec)
    assert len(synapses) == sum(row.enabled for row in tables.projections)
    assert not [key for key, number in synapses.items() if number == 0]


def test_the_full_size_is_the_authors_plus_relays(tables: BrainTables) -> None:
    full = sum(row.neurons_full for row in tables.populations.values())
    assert full == 1_010_001 + 36_000


def test_thinning_keeps_the_mean_input(tables: BrainTables, tiny: BrainSpec) -> None:
    small = scale(tables, "small")
    for at_tiny, at_small in zip(tiny.projections, small.projections, strict=True):
        assert at_tiny.indegree * at_tiny.weight == pytest.approx(at_small.indegree * at_small.weight)


def test_the_identity_follows_what_is_built(tables: BrainTables, tiny: BrainSpec) -> None:
    assert scale(tables, "tiny").identity == tiny.identity
    assert scale(tables, "tiny", seed=2).identity != tiny.identity
    assert scale(tables, "small").identity != tiny.identity


def test_two_builds_of_one_seed_fire_the_same_spikes(tables: BrainTables, tiny: BrainSpec) -> None:
    first, again = spikes_of(tiny, 200.0), spikes_of(tiny, 200.0)
    other = spikes_of(scale(tables, "tiny", seed=2), 200.0)
    assert len(first[0]) > 500
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_no_first_volley(tiny: BrainSpec) -> None:
    senders, times = spikes_of(tiny, 100.0)
    per_step = np.bincount((times / tiny.resolution_ms).astype(int))
    assert per_step.max() < 0.05 * tiny.neurons
    assert len(np.unique(senders)) > 50


def test_sources_lie_near_their_targets() -> None:
    sheet = Sheet(2_500)
    drawn = draw_synapses(projection(), sheet, sheet, 0.5, generator(1, "test"))
    x_mm, y_mm = sheet.positions_mm()
    inner = (np.abs(x_mm[drawn.target]) < 0.2) & (np.abs(y_mm[drawn.target]) < 0.2)
    apart_mm = (x_mm[drawn.source] - x_mm[drawn.target])[inner]
    assert apart_mm.std() == pytest.approx(0.1, rel=0.05)
    assert abs(apart_mm.mean()) < 0.005
    assert np.abs(x_mm).max() < HALF_MM


def test_indegrees_have_the_stated_mean_and_differ_by_one() -> None:
    sheet = Sheet(4_000)
    drawn = draw_synapses(projection(), sheet, sheet, 0.5, generator(2, "test"))
    indegree = np.bincount(drawn.target, minlength=4_000)
    assert set(indegree) == {12, 13}
    assert indegree.mean() == pytest.approx(12.5, rel=0.01)


def test_no_neuron_listens_to_itself() -> None:
    sheet = Sheet(30)
    drawn = draw_synapses(projection(post="a", sigma_mm=None), sheet, sheet, 0.5, generator(3, "test"))
    assert not np.any(drawn.source == drawn.target)


def test_weights_and_delays_follow_their_distributions() -> None:
    sheet = Sheet(4_000)
    drawn = draw_synapses(
        projection(weight_log_sd=0.8, delay_jitter_ms=2.5), sheet, sheet, 0.5, generator(4, "test")
    )
    assert drawn.weight.mean() == pytest.approx(2.0, rel=0.05)
    assert np.log(drawn.weight).std() == pytest.approx(0.8, rel=0.02)
    assert np.allclose(drawn.delay_ms / 0.5, np.round(drawn.delay_ms / 0.5))
    assert 1.5 <= drawn.delay_ms.min() < drawn.delay_ms.max() <= 4.0


@pytest.mark.slow
def test_the_resting_state_holds(tables: BrainTables, tiny: BrainSpec) -> None:
    from robobrain.brain.resting import measure_rest

    rates = measure_rest(Network(tiny, threads=1), tables, 5_000.0)
    assert len(rates) == len(tables.populations)
    assert not [rate.population for rate in rates if not rate.holds]
    assert sum(rate.verdict == "in range" for rate in rates) >= 0.9 * len(rates)
