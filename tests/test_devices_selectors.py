from __future__ import annotations

import numpy as np
import pytest
from devices_brain import placed
from hypothesis import given
from hypothesis import strategies as st

from robobrain.brain.selectors import Column, Selector, Tile, evenly_spread, select
from robobrain.errors import ConfigurationError

SHEET = {
    "PT": placed("PT", 100, first_id=11),
    "CC": placed("CC", 12, first_id=200),
    "TC": placed("TC", 12, first_id=300, region="VM"),
}


def test_a_population_and_a_region_select_all_their_cells() -> None:
    assert select(Selector(population="PT"), SHEET).tolist() == list(range(11, 111))
    assert select(Selector(region="M1"), SHEET).tolist() == [*range(11, 111), *range(200, 212)]


def test_a_fraction_is_spread_evenly() -> None:
    assert select(Selector(population="PT", fraction=0.25), SHEET).tolist() == list(range(11, 111, 4))


@given(size=st.integers(1, 300), data=st.data())
def test_evenly_spread_indices_are_distinct_and_inside(size: int, data: st.DataObject) -> None:
    picked = evenly_spread(size, data.draw(st.integers(0, size)))
    assert np.all(np.diff(picked) > 0)
    assert np.all((picked >= 0) & (picked < size))


def test_a_column_takes_the_nearest_cells() -> None:
    population = SHEET["PT"]
    picked = select(Selector(population="PT", column=Column(x_mm=0.2, y_mm=-0.3, cells=9)), SHEET) - 11
    distance = np.hypot(population.x_mm - 0.2, population.y_mm + 0.3)
    others = np.setdiff1d(np.arange(100), picked)
    assert picked.size == 9
    assert distance[picked].max() <= distance[others].min() + 1e-12


def test_a_column_keeps_its_least_number_of_cells_in_a_small_population() -> None:
    column = Column(x_mm=0.0, y_mm=0.0, fraction=0.05, min_cells=3)
    assert select(Selector(population="PT", column=column), SHEET).size == 5
    assert select(Selector(population="CC", column=column), SHEET).size == 3


def test_a_radius_takes_the_cells_within_it() -> None:
    picked = select(Selector(population="PT", column=Column(x_mm=0.0, y_mm=0.0, radius_mm=0.08)), SHEET)
    assert picked.size == 4


@given(size=st.integers(8, 200), nx=st.integers(1, 4), ny=st.integers(1, 2))
def test_tiles_share_out_the_population(size: int, nx: int, ny: int) -> None:
    sheet = {"PT": placed("PT", size)}
    tiles = [
        select(Selector(population="PT", tile=Tile(index=k, nx=nx, ny=ny)), sheet) for k in range(nx * ny)
    ]
    assert sorted(np.concatenate(tiles)) == list(range(1, size + 1))
    assert max(map(len, tiles)) - min(map(len, tiles)) <= 2


def test_tiles_lie_where_their_index_says() -> None:
    population = SHEET["PT"]
    for index in range(8):
        picked = select(Selector(population="PT", tile=Tile(index=index, nx=4, ny=2)), SHEET) - 11
        assert population.x_mm[picked].mean() == pytest.approx(-0.375 + 0.25 * (index % 4), abs=0.06)
        assert population.y_mm[picked].mean() == pytest.approx(-0.25 + 0.5 * (index // 4), abs=0.06)


def test_unknown_names_list_what_exists() -> None:
    with pytest.raises(ConfigurationError, match="PT, CC, TC"):
        select(Selector(population="XX"), SHEET)
    with pytest.raises(ConfigurationError, match="M1, VM"):
        select(Selector(region="XX"), SHEET)


@pytest.mark.parametrize(
    "selector",
    [
        Selector(population="PT", column=Column(x_mm=5.0, y_mm=5.0, radius_mm=0.01)),
        Selector(population="CC", fraction=0.01),
        Selector(population="CC", tile=Tile(index=15, nx=4, ny=4)),
        Selector(population="CC", column=Column(x_mm=0.0, y_mm=0.0, cells=13)),
    ],
)
def test_an_empty_selection_is_refused(selector: Selector) -> None:
    with pytest.raises(ConfigurationError, match=r"12|100"):
        select(selector, SHEET)


@pytest.mark.parametrize(
    "make",
    [
        Selector,
        lambda: Selector(population="PT", region="M1"),
        lambda: Selector(population="PT", fraction=0.0),
        lambda: Selector(population="PT", fraction=float("nan")),
        lambda: Selector(population="PT", fraction=0.5, tile=Tile(index=0, nx=1, ny=1)),
        lambda: Tile(index=8, nx=4, ny=2),
        lambda: Tile(index=0, nx=0, ny=2),
        lambda: Column(x_mm=0.0, y_mm=0.0),
        lambda: Column(x_mm=0.0, y_mm=0.0, cells=3, radius_mm=0.1),
        lambda: Column(x_mm=0.0, y_mm=0.0, cells=0),
        lambda: Column(x_mm=float("nan"), y_mm=0.0, cells=3),
        lambda: Column(x_mm=0.0, y_mm=0.0, radius_mm=-1.0),
    ],
)
def test_contradictory_selectors_are_refused(make: object) -> None:
    with pytest.raises(ConfigurationError):
        make()  # type: ignore[operator]
