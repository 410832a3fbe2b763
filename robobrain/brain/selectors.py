"""Which neurons: populations placed on their sheets, and selectors that pick cells from them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.declared import Declared
from robobrain.errors import ConfigurationError, choices
from robobrain.seeding import generator

NodeIds = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class PlacedPopulation:
    """A population in NEST: contiguous node ids ``first_id ... first_id + size - 1`` on a 1 mm x 1 mm sheet.

    Attributes:
        name: Name of the population, for example ``M1_L5B_PT``.
        region: Region it belongs to, for example ``M1``.
        first_id: NEST id of its first neuron.
        size: Number of neurons.
        x_mm: Sheet coordinate of each neuron, -0.5 to 0.5, shape ``[size]``.
        y_mm: The other sheet coordinate, shape ``[size]``.
        weight_per_nS_ex: What one nS of excitatory conductance weight is in the units of the neuron model
            (pA for current-based neurons, 1.0 for conductance-based ones).
        layer: Layer, zone or nucleus within the region.
        current_per_mV: Constant current that shifts the mean membrane potential by one mV (pA).
        relay: Whether its neurons only repeat the spikes they get: no membrane, no currents.
    """

    name: str
    region: str
    first_id: int
    size: int
    x_mm: NDArray[np.float64]
    y_mm: NDArray[np.float64]
    weight_per_nS_ex: float
    layer: str = ""
    current_per_mV: float = 1.0
    relay: bool = False


@dataclass(frozen=True, kw_only=True)
class Column(Declared):
    """Cells around a point of the sheet: the nearest ``cells``, the nearest ``fraction``, or a radius.

    A fraction yields at least ``min_cells`` cells (fewer only where the population itself has fewer), so that
    the same column exists in brains of all sizes.
    """

    x_mm: float
    y_mm: float
    cells: int | None = None
    fraction: float | None = None
    radius_mm: float | None = None
    min_cells: int = 1

    def __post_init__(self) -> None:
        if sum(extent is not None for extent in (self.cells, self.fraction, self.radius_mm)) != 1:
            raise ConfigurationError("a column needs exactly one of cells, fraction and radius_mm")
        if not (math.isfinite(self.x_mm) and math.isfinite(self.y_mm)):
            raise ConfigurationError(f"the centre ({self.x_mm}, {self.y_mm}) mm of a column must be finite")
        if self.fraction is not None:
            _check_fraction(self.fraction)
        if self.radius_mm is not None and not 0 < self.radius_mm < math.inf:
            raise ConfigurationError(f"radius_mm = {self.radius_mm} of a column must be positive and finite")
        if (self.cells is not None and self.cells < 1) or self.min_cells < 1:
            raise ConfigurationError(
                "a column needs at least one cell: raise cells or min_cells to 1 or more"
            )


@dataclass(frozen=True, kw_only=True)
class Tile(Declared):
    """One of ``nx`` times ``ny`` tiles that share out the sheet; tile ``ix + nx * iy`` counts x first.

    Tiles hold equal shares of the cells (to within one per cut): the cells are cut by rank along x, then each
    slab along y. They are disjoint and complete, and none is empty where there are enough cells.
    """

    index: int
    nx: int
    ny: int

    def __post_init__(self) -> None:
        if self.nx < 1 or self.ny < 1 or not 0 <= self.index < self.nx * self.ny:
            raise ConfigurationError(
                f"tile {self.index} does not exist in a grid of {self.nx} x {self.ny}: use 0 to nx * ny - 1"
            )


@dataclass(frozen=True, kw_only=True)
class Selector(Declared):
    """Cells of one population, or of every population of a region or of one of its layers.

    At most one of ``fraction`` and ``count`` (evenly spread over the node ids), ``column``, ``tile`` and
    ``cells`` (numbers of the population's neurons, the first is 0) narrows the choice; with none of them all
    cells are meant. In a region the same rule picks from each population.
    """

    population: str | None = None
    region: str | None = None
    fraction: float | None = None
    column: Column | None = None
    tile: Tile | None = None
    layer: str | None = None
    cells: tuple[int, ...] | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        if (self.population is None) == (self.region is None):
            raise ConfigurationError("a selector needs exactly one of population and region")
        narrowing = (self.fraction, self.column, self.tile, self.cells, self.count)
        if sum(part is not None for part in narrowing) > 1:
            raise ConfigurationError(
                "a selector takes at most one of fraction, column, tile, cells and count"
            )
        if self.count is not None and self.count < 1:
            raise ConfigurationError(f"count = {self.count} must be 1 or more")
        if self.layer is not None and self.region is None:
            raise ConfigurationError(f"layer {self.layer!r} needs the region it belongs to")
        if self.cells is not None:
            _check_cells(self.cells)
        if self.fraction is not None:
            _check_fraction(self.fraction)


def select(selector: Selector, populations: Mapping[str, PlacedPopulation]) -> NodeIds:
    """Return the NEST ids that ``selector`` picks, ascending within each population, shape ``[cells]``.

    Raises:
        ConfigurationError: The population or region is unknown, or no cell is picked.
    """
    return np.concatenate([ids for _, ids in select_groups(selector, populations)])


def select_groups(
    selector: Selector, populations: Mapping[str, PlacedPopulation]
) -> list[tuple[PlacedPopulation, NodeIds]]:
    """Return the picked NEST ids population by population; errors as in `select`."""
    return [
        (population, population.first_id + _pick(selector, population))
        for population in _populations(selector, populations)
    ]


def check_names(selectors: Iterator[Selector], regions: Mapping[str, str]) -> None:
    """Raise `ConfigurationError` unless every population and region named exists.

    Args:
        selectors: The selectors to check.
        regions: Region of each existing population, by the population's name.
    """
    for selector in selectors:
        _check_name(selector, regions)


def evenly_spread(size: int, count: int) -> NodeIds:
    """Return ``count`` distinct indices below ``size``, evenly spread and ascending."""
    return np.arange(count, dtype=np.int64) * size // count


def _populations(selector: Selector, populations: Mapping[str, PlacedPopulation]) -> list[PlacedPopulation]:
    _check_name(selector, {name: population.region for name, population in populations.items()})
    if selector.population is not None:
        return [populations[selector.population]]
    region = [population for population in populations.values() if population.region == selector.region]
    if selector.layer is None:
        return region
    if layer := [population for population in region if population.layer == selector.layer]:
        return layer
    known = ", ".join(dict.fromkeys(population.layer for population in region))
    raise ConfigurationError(f"no layer {selector.layer!r} in {selector.region}; there are {known}")


def _check_name(selector: Selector, regions: Mapping[str, str]) -> None:
    if selector.population is not None and selector.population not in regions:
        raise ConfigurationError(
            f"no population {selector.population!r}; this brain has {choices(selector.population, regions)}"
        )
    if selector.region is not None and selector.region not in regions.values():
        known = choices(selector.region, regions.values())
        raise ConfigurationError(f"no region {selector.region!r}; this brain has {known}")


def _pick(selector: Selector, population: PlacedPopulation) -> NodeIds:
    if selector.column is not None:
        picked = _pick_column(selector.column, population)
    elif selector.tile is not None:
        picked = _pick_tile(selector.tile, population)
    elif selector.fraction is not None:
        picked = evenly_spread(population.size, round(selector.fraction * population.size))
    elif selector.cells is not None:
        picked = _pick_cells(selector.cells, population)
    elif selector.count is not None:
        if selector.count > population.size:
            raise ConfigurationError(
                f"count = {selector.count} is more than the {population.size} cells of {population.name}"
            )
        picked = evenly_spread(population.size, selector.count)
    else:
        picked = np.arange(population.size, dtype=np.int64)
    if picked.size == 0:
        raise ConfigurationError(
            f"{selector} picks none of the {population.size} cells of {population.name}: "
            "widen it or choose a larger brain"
        )
    return picked


def _pick_column(column: Column, population: PlacedPopulation) -> NodeIds:
    distance_mm = np.hypot(population.x_mm - column.x_mm, population.y_mm - column.y_mm)
    if column.radius_mm is not None:
        return np.flatnonzero(distance_mm <= column.radius_mm)
    if column.cells is not None:
        if column.cells > population.size:
            raise ConfigurationError(
                f"a column of {column.cells} cells does not fit into the {population.size} of "
                f"{population.name}: give a fraction with min_cells instead"
            )
        count = column.cells
    else:
        assert column.fraction is not None
        count = min(population.size, max(column.min_cells, round(column.fraction * population.size)))
    return np.sort(np.argsort(distance_mm, kind="stable")[:count]).astype(np.int64)


def _pick_tile(tile: Tile, population: PlacedPopulation) -> NodeIds:
    # Cells of a lattice share coordinates; ties in a fixed random order keep the cuts from tilting the tiles.
    ties = generator(0, "tile", population.name).permutation(population.size)
    along_x = np.lexsort((ties, population.x_mm))
    slab = _share(along_x, tile.index % tile.nx, tile.nx)
    along_y = slab[np.lexsort((ties[slab], population.y_mm[slab]))]
    return np.sort(_share(along_y, tile.index // tile.nx, tile.ny)).astype(np.int64)


def _share(cells: NodeIds, index: int, parts: int) -> NodeIds:
    """Return one of ``parts`` equal shares, however many there are; the first ones get what is left over."""
    each, over = divmod(cells.size, parts)
    first = index * each + min(index, over)
    return cells[first : first + each + (index < over)]


def _pick_cells(cells: tuple[int, ...], population: PlacedPopulation) -> NodeIds:
    if cells[-1] >= population.size:
        raise ConfigurationError(
            f"cell {cells[-1]} does not exist: {population.name} has {population.size}, the last is "
            f"{population.size - 1}"
        )
    return np.array(cells, dtype=np.int64)


def _check_cells(cells: tuple[int, ...]) -> None:
    if not cells or cells[0] < 0 or any(a >= b for a, b in itertools.pairwise(cells)):
        raise ConfigurationError(f"cells {cells} must be whole numbers from 0 on, ascending, each once")


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction <= 1:
        raise ConfigurationError(f"fraction = {fraction} must be above 0 and at most 1")
