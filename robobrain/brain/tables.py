"""The whole-brain tables: validation against each other, and the typed rows they become.

A table is a CSV file with a header. Every row states where its numbers come from: ``source`` (with the
reference), ``corrected`` (with why) or ``assumed`` (with why). The package's tables lie in
``robobrain/brain/data``. Another folder describes another brain: a file of the same name replaces the
package's, ``NAME.extend.csv`` adds rows to it and replaces those with the same key, and a file that it does
not have is the package's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from robobrain.brain.reading import Model, Placed, read_table
from robobrain.brain.rows import (
    EVERY_LAYER,
    INHIBITORY_RECEPTORS,
    RECEPTORS_OF_MODEL,
    BiasRow,
    DriveRow,
    GainRow,
    NeuronRow,
    PopulationRow,
    ProjectionRow,
    SizeRow,
    SizesFile,
    TargetRow,
)
from robobrain.brain.sizes import CURRENT, mixed, neighbours, parse_scale, size_between, split_family
from robobrain.errors import ConfigurationError, TableError
from robobrain.yaml_files import read_yaml

SIZES = "sizes.yaml"
TABLES = ("neurons", "populations", "projections", "gains", "drives", "resting_targets")
"""Tables of a brain, without the tuned bias currents."""
EXTENSION = ".extend.csv"
FILES = (*(f"{stem}{ending}" for stem in TABLES for ending in (".csv", EXTENSION)), SIZES)
"""Names of the files that a brain is read from."""


@dataclass(frozen=True, kw_only=True)
class BrainTables:
    """All tables of one brain, validated row by row and against each other."""

    folder: Path
    populations: dict[str, PopulationRow]
    neurons: dict[str, NeuronRow]
    projections: tuple[ProjectionRow, ...]
    gains: tuple[GainRow, ...]
    drives: dict[str, DriveRow]
    targets: dict[str, TargetRow]
    sizes: SizesFile

    def size(self, name: str) -> SizeRow:
        """Return the size called ``name``, or with the part of all neurons that ``name`` is as a number.

        A family of neurons at its end (``tiny-conductance``) changes nothing about the size.

        Raises:
            ConfigurationError: There is no such size; the known ones are named.
        """
        name, _ = split_family(name)
        if name in self.sizes.sizes:
            return self.sizes.sizes[name]
        scale = parse_scale(name)
        if scale is None:
            known = ", ".join(self.sizes.sizes)
            raise ConfigurationError(
                f"Unknown brain size '{name}'. Known sizes: {known}. A number between 0 and 1 (the part "
                "of all neurons) or the path of a folder of tables is possible as well."
            )
        return size_between(self.sizes.sizes, scale)

    def neuron_of(self, population: str) -> NeuronRow:
        """Return the neuron type of a population."""
        return self.neurons[self.populations[population].neuron]

    def gain(self, projection: ProjectionRow) -> float:
        """Return the factor on a projection's weight."""
        pre, post = self.populations[projection.pre], self.populations[projection.post]
        return next((row.gain for row in reversed(self.gains) if row.applies(pre, post)), 1.0)

    def bias(self, size: str) -> dict[str, BiasRow]:
        """Return the tuned bias currents of ``size``; empty when the size was never tuned."""
        path = self.folder / f"bias_{size}.csv"
        if not path.exists():
            return {}
        rows = read_table([path], BiasRow, lambda row: row.population)
        for placed in rows.values():
            placed.require("population", placed.row.population, self.populations)
        return {placed.row.population: placed.row for placed in rows.values()}

    def bias_currents(self, size: str) -> dict[str, float]:
        """Return the bias current of each population: as tuned, else a guess.

        The guess lies between the currents of the nearest tuned sizes; a folder without any takes the
        package's, for the populations that it shares. Conductance neurons start from the currents of the
        neurons that were linearised from them.
        """
        if tuned := self.bias(size):
            return {name: row.bias_pA for name, row in tuned.items()}
        plain, family = split_family(size)
        if family != CURRENT:
            return self.bias_currents(plain)
        scale = self.size(size).neuron_scale
        known = {name: row for name, row in self.sizes.sizes.items() if self.bias(name)}
        if known:
            lower, upper, share = neighbours(known, scale)
            return mixed(self.bias_currents(lower), self.bias_currents(upper), share)
        if self.folder == default_folder():
            return {}
        package = load_tables().bias_currents(f"{scale!r}")
        return {name: current for name, current in package.items() if name in self.populations}


def default_folder() -> Path:
    """Return the folder of the package's own tables."""
    return Path(str(files("robobrain.brain") / "data"))


def load_tables(folder: Path | None = None) -> BrainTables:
    """Read and validate the tables of a brain.

    Args:
        folder: Folder with the tables; None for the package's own.

    Raises:
        TableError: A row is invalid; the message names file, row and fix.
        ConfigurationError: The folder holds no table, or what is no table under a table's name.
    """
    folder = default_folder() if folder is None else folder
    if not files_of(folder):
        raise ConfigurationError(
            f"The folder {folder} holds no table of a brain. `robobrain brain new {folder}` puts all there."
        )
    _check_entries(folder)
    neurons = _read(folder, "neurons", NeuronRow, lambda row: row.neuron)
    populations = _read(folder, "populations", PopulationRow, lambda row: row.population)
    projections = _read(folder, "projections", ProjectionRow, lambda row: (row.pre, row.post, row.receptor))
    gains = _read(folder, "gains", GainRow, lambda row: row.between)
    drives = _read(folder, "drives", DriveRow, lambda row: row.population)
    targets = _read(folder, "resting_targets", TargetRow, lambda row: row.population)
    for stem, rows in (("neurons", neurons), ("populations", populations), ("projections", projections)):
        if not rows:
            raise TableError(f"{stem}.csv", 1, "the table has no rows", "add them below the header")
    neurons_by_name = {placed.row.neuron: placed.row for placed in neurons}
    by_name = {placed.row.population: placed.row for placed in populations}
    for population in populations:
        population.require("neuron type", population.row.neuron, neurons_by_name)
    for drive in drives:
        drive.require("population", drive.row.population, by_name)
    for target in targets:
        target.require("population", target.row.population, by_name)
    for projection in projections:
        _check_projection(projection, by_name, neurons_by_name)
    _check_complete(populations, {placed.row.population for placed in targets})
    regions: dict[str, set[str]] = {}
    for population in populations:
        regions.setdefault(population.row.region, set()).add(population.row.layer)
    for gain in gains:
        _check_gain(gain, regions)
    return BrainTables(
        folder=folder,
        populations=by_name,
        neurons=neurons_by_name,
        projections=tuple(placed.row for placed in projections),
        gains=tuple(placed.row for placed in gains),
        drives={placed.row.population: placed.row for placed in drives},
        targets={placed.row.population: placed.row for placed in targets},
        sizes=_read_sizes(_own_or_default(folder, SIZES)),
    )


def files_of(folder: Path) -> list[str]:
    """Return the names of the tables that a folder has of its own."""
    return [name for name in FILES if (folder / name).is_file()]


def _check_entries(folder: Path) -> None:
    """Raise where an entry would be left out though it is meant for a table."""
    for path in sorted(folder.iterdir()):
        if path.name in FILES and not path.is_file():
            raise ConfigurationError(f"{path} is no file. Put the table there, or remove it.")
        if path.name.endswith(EXTENSION) and path.name not in FILES:
            raise ConfigurationError(f"{path} extends no table; there are {', '.join(TABLES)}. Rename it.")


def _read(
    folder: Path, stem: str, row_type: type[Model], key: Callable[[Model], Hashable]
) -> list[Placed[Model]]:
    extension = folder / f"{stem}{EXTENSION}"
    paths = [_own_or_default(folder, f"{stem}.csv"), *([extension] if extension.is_file() else [])]
    return list(read_table(paths, row_type, key).values())


def _own_or_default(folder: Path, name: str) -> Path:
    own = folder / name
    return own if own.is_file() else default_folder() / name


def _check_projection(
    projection: Placed[ProjectionRow], populations: dict[str, PopulationRow], neurons: dict[str, NeuronRow]
) -> None:
    row = projection.row
    projection.require("population", row.pre, populations)
    projection.require("population", row.post, populations)
    model = neurons[populations[row.post].neuron].model
    if row.receptor not in RECEPTORS_OF_MODEL[model]:
        have = ", ".join(sorted(RECEPTORS_OF_MODEL[model]))
        raise projection.fault(f"{row.post} ({model}) has no receptor '{row.receptor}'", f"use one of {have}")
    inhibitory = row.receptor in INHIBITORY_RECEPTORS
    if inhibitory != (populations[row.pre].sign == "I"):
        sign = "inhibitory" if populations[row.pre].sign == "I" else "excitatory"
        fix = "choose the receptor that fits, or correct the population's sign"
        raise projection.fault(f"{row.pre} is {sign} but uses receptor '{row.receptor}'", fix)
    if row.weight != 0 and math.copysign(1, row.weight) != (-1 if inhibitory else 1):
        raise projection.fault(f"weight {row.weight} has the wrong sign", f"write {-row.weight}")


def _check_complete(populations: Iterable[Placed[PopulationRow]], targets: set[str]) -> None:
    for placed in populations:
        if placed.row.population not in targets:
            raise placed.fault(
                f"{placed.row.population} has no resting rate", "add its row to resting_targets.csv"
            )


def _check_gain(gain: Placed[GainRow], regions: dict[str, set[str]]) -> None:
    row = gain.row
    for region, layers in ((row.pre_region, row.pre_layer), (row.post_region, row.post_layer)):
        gain.require("region", region, regions)
        for layer in layers.split("|"):
            if layer != EVERY_LAYER:
                gain.require(f"layer of {region}", layer, dict.fromkeys(sorted(regions[region])))


def _read_sizes(path: Path) -> SizesFile:
    content = read_yaml(path)
    try:
        return SizesFile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        entry = ".".join(str(part) for part in first["loc"])
        raise TableError(path.name, entry or 1, first["msg"], "correct the entry") from None
