"""Tables: the package's own hold, and any broken one is refused with file, row and fix."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from robobrain.brain.tables import BrainTables, default_folder, load_tables
from robobrain.errors import ConfigurationError, TableError

POPULATIONS = {"M1": 19, "S1": 22, "VL": 8, "VM": 8, "BG": 8, "CB_M1": 6, "CB_S1": 6}
AUTHORS = {
    "M1": 58_805,
    "S1": 94_396,
    "VL": 8_192,
    "VM": 8_192,
    "BG": 10_976,
    "CB_M1": 414_720,
    "CB_S1": 414_720,
}


@pytest.fixture(scope="module")
def tables() -> BrainTables:
    return load_tables()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_folder(), tmp_path / "brain"))


def edit(file: Path, row: int, **values: str) -> None:
    """Change cells of a row; row 2 is the first below the header, as an editor counts."""
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    rows[row - 2].update(values)
    write(file, rows)


def write(file: Path, rows: list[dict[str, str]]) -> None:
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_every_population_of_the_model_is_there(tables: BrainTables) -> None:
    found: dict[str, int] = {}
    for row in tables.populations.values():
        found[row.region] = found.get(row.region, 0) + 1
    assert found == POPULATIONS


def test_neuron_totals_equal_the_authors_table(tables: BrainTables) -> None:
    found: dict[str, int] = {}
    for row in tables.populations.values():
        found[row.region] = found.get(row.region, 0) + row.neurons_authors
    assert found == AUTHORS
    assert sum(found.values()) == 1_010_001


def test_regions_are_connected_to_each_other(tables: BrainTables) -> None:
    region = {name: row.region for name, row in tables.populations.items()}
    between = {(region[row.pre], region[row.post]) for row in tables.projections if row.enabled}
    loop = {
        ("S1", "M1"),
        ("M1", "S1"),
        ("VM", "S1"),
        ("VL", "M1"),
        ("S1", "VM"),
        ("M1", "VL"),
        ("M1", "BG"),
        ("S1", "BG"),
        ("BG", "VL"),
        ("M1", "CB_M1"),
        ("S1", "CB_S1"),
        ("CB_M1", "VL"),
        ("CB_S1", "VM"),
    }
    assert loop <= between


def test_the_most_specific_gain_wins(tables: BrainTables) -> None:
    gain = {(row.pre, row.post): tables.gain(row) for row in tables.projections}
    assert gain["M1_L23_CC", "M1_L23_CC"] == 0.2
    assert gain["M1_L23_CC", "M1_L23_PV"] == 0.5
    assert gain["S1_L4_Pyr", "S1_L3_Pyr"] == 1.0
    assert gain["S1_L4_Pyr", "S1_L3_PV"] == 0.2
    assert gain["S1_L2_Pyr", "S1_L5B_Pyr"] == 0.5
    assert gain["S1_L3_Pyr", "M1_L23_CC"] == 1.0
    assert gain["M1_L23_PV", "M1_L23_CC"] == 1.0


@pytest.mark.parametrize(
    ("file", "values", "said"),
    [
        ("projections.csv", {"pre": "M1_L9_XX"}, "unknown population 'M1_L9_XX'"),
        ("projections.csv", {"weight": "1.0"}, "wrong sign"),
        ("projections.csv", {"weight": "nan"}, "weight"),
        ("projections.csv", {"delay_ms": "-1"}, "delay_ms"),
        ("projections.csv", {"receptor": "AMPA"}, "has no receptor 'AMPA'"),
        ("projections.csv", {"receptor": "ex", "weight": "1"}, "is inhibitory but uses receptor 'ex'"),
        ("projections.csv", {"indegree": "0"}, "in-degree"),
        ("projections.csv", {"provenance": "assumed", "note": ""}, "needs the reason"),
        ("populations.csv", {"neuron": "squid"}, "unknown neuron type 'squid'"),
        ("populations.csv", {"neurons_full": "0"}, "neurons_full"),
        ("neurons.csv", {"g_L_nS": ""}, "g_L_nS"),
        ("neurons.csv", {"C_m_pF": "inf"}, "C_m_pF"),
        ("drives.csv", {"population": "nobody"}, "unknown population 'nobody'"),
        ("drives.csv", {"rate_hz": "-5"}, "rate_hz"),
        ("gains.csv", {"gain": "0"}, "gain"),
        ("resting_targets.csv", {"target_hz": "many"}, "target_hz"),
    ],
)
def test_a_broken_row_names_file_row_and_fix(
    folder: Path, file: str, values: dict[str, str], said: str
) -> None:
    edit(folder / file, 2, **values)
    with pytest.raises(TableError) as error:
        load_tables(folder)
    assert error.value.file == file
    assert error.value.row == 2
    assert said in str(error.value)
    assert "Fix: " in str(error.value)


@pytest.mark.parametrize("file", ["populations.csv", "projections.csv", "neurons.csv", "drives.csv"])
def test_a_duplicate_row_is_refused(folder: Path, file: str) -> None:
    with (folder / file).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    write(folder / file, [*rows, rows[0]])
    with pytest.raises(TableError, match="is there twice") as error:
        load_tables(folder)
    assert error.value.row == len(rows) + 2


def test_a_missing_column_is_named(folder: Path) -> None:
    file = folder / "projections.csv"
    with file.open(newline="") as stream:
        rows = [{k: v for k, v in row.items() if k != "delay_ms"} for row in csv.DictReader(stream)]
    write(file, rows)
    with pytest.raises(TableError, match="column delay_ms is missing"):
        load_tables(folder)


def test_a_file_that_a_folder_has_not_is_the_packages_own(folder: Path, tables: BrainTables) -> None:
    (folder / "gains.csv").unlink()
    assert load_tables(folder).gains == tables.gains


def test_a_folder_without_any_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no table"):
        load_tables(tmp_path)


def test_a_population_needs_a_resting_rate(folder: Path) -> None:
    file = folder / "resting_targets.csv"
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    write(file, rows[1:])
    with pytest.raises(TableError, match="has no resting rate") as error:
        load_tables(folder)
    assert (error.value.file, error.value.row) == ("populations.csv", 2)


def test_an_unknown_size_lists_the_known_ones(tables: BrainTables) -> None:
    with pytest.raises(ConfigurationError, match="tiny, small"):
        tables.size("huge")
