"""What a brain consists of, counted before it is built."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from robobrain.brain.network import wiring_generator
from robobrain.brain.reading import read_rows
from robobrain.brain.sheet import Sheet, draw_indegrees
from robobrain.brain.spec import BrainSpec
from robobrain.brain.tables import BrainTables, default_folder


@dataclass(frozen=True, kw_only=True)
class RegionCount:
    """Contents of one region.

    Attributes:
        region: Name.
        layers: Number of layers, zones or nuclei, relay pools left out.
        populations: Number of populations, relay pools left out.
        relay_pools: Number of relay pools.
        neurons: Neurons built, relays included.
        neurons_full: The same at full size.
        neurons_authors: Neurons in the table of the model's authors, who do not count relays.
        projections: Enabled projections that end here.
        synapses: Synapses that end here.
        projections_empty: Enabled projections that got no synapse.
    """

    region: str
    layers: int
    populations: int
    relay_pools: int
    neurons: int
    neurons_full: int
    neurons_authors: int
    projections: int
    synapses: int
    projections_empty: tuple[str, ...]


class AuthorsRow(BaseModel):
    """One region in the structure table of the model's authors, with the reason where ours differs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str
    layers: int
    types: str
    neurons: int
    note: str


def authors_table() -> dict[str, AuthorsRow]:
    """Return the structure table of the model's authors, by region."""
    rows = read_rows(default_folder() / "authors.csv", AuthorsRow)
    return {placed.row.region: placed.row for placed in rows}


def count_synapses(spec: BrainSpec) -> dict[tuple[str, str, str], int]:
    """Return the number of synapses that each projection will have, without drawing their sources."""
    sizes = {population.name: population.size for population in spec.populations}
    return {
        projection.key: int(
            draw_indegrees(
                projection, Sheet(sizes[projection.post]), wiring_generator(spec.seed, projection)
            ).sum()
        )
        for projection in spec.projections
    }


def count_regions(spec: BrainSpec, tables: BrainTables) -> list[RegionCount]:
    """Return the contents of each region, in the order of the tables."""
    synapses = count_synapses(spec)
    counts = []
    for region in dict.fromkeys(population.region for population in spec.populations):
        inside = [population for population in spec.populations if population.region == region]
        names = {population.name for population in inside}
        cells = [population for population in inside if population.v_init_mV is not None]
        ending = {key: number for key, number in synapses.items() if key[1] in names}
        counts.append(
            RegionCount(
                region=region,
                layers=len({population.layer for population in cells}),
                populations=len(cells),
                relay_pools=len(inside) - len(cells),
                neurons=sum(population.size for population in inside),
                neurons_full=sum(population.size_full for population in inside),
                neurons_authors=sum(tables.populations[name].neurons_authors for name in names),
                projections=len(ending),
                synapses=sum(ending.values()),
                projections_empty=tuple(" ".join(key) for key, number in ending.items() if not number),
            )
        )
    return counts
